"""Evaluation: captions of a model or a file, scored against the references of a data set."""
