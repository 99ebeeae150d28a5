"""A folder's photos, found by what they show and by what they are like. `cutline search` is its command.

index.py: what is known of each photo, in one file; updating.py: that file follows the folder;
searching.py: words, meaning and likeness, ranked together.
"""
