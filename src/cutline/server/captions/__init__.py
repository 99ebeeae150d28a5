"""Captions: what models proposed, where they looked, and every version that was shown."""
