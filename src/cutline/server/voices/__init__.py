"""Voices that people keep: those that they named, and the one that they used last."""
