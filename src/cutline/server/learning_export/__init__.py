"""Feedback of consenting owners, written as a data set for training."""
