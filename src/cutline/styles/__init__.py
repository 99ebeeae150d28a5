"""Captions in a voice: `load` a restyler, give it a description and a `Voice`.

from cutline import styles

restyler = styles.load("openai:http://localhost:11434/v1#llama3.2")
for styled in restyler.restyle("A dog runs along the beach.", styles.Voice(tone="quirky", hashtags=2), n=3):
    print(styled.text)
"""

from cutline.styles.guard import Fault
from cutline.styles.sources import load
from cutline.styles.voice import Audience, Length, Voice, presets
from cutline.styles.writing import Piece, Restyler, Styled, Writer

__all__ = ["Audience", "Fault", "Length", "Piece", "Restyler", "Styled", "Voice", "Writer", "load", "presets"]
