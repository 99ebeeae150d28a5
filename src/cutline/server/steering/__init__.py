"""How much the challenger gets of the jobs, and what came of what it and the champion were asked."""
