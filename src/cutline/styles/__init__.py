"""Captions in a tone, for an audience: what a voice is, and the guard over whatever writes in one."""
