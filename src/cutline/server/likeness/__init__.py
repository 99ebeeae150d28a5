"""How photos are alike: where each lies among others, and what lies near.

models.py keeps a vector for each photo and model; keeping.py writes it with the captions, filling.py makes
what is missing; search.py is what the API asks: it looks among them by pgvector.py where the database has it,
else by shelves.py in memory.
"""
