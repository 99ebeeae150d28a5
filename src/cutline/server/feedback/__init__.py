"""Feedback: what people made of captions, kept for learning."""
