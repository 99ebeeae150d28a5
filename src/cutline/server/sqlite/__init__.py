"""Django's SQLite, whose writers of one process wait for each other in a line."""
