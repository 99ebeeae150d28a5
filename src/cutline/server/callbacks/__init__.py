"""Captions from a function of a cloud (cutline.serverless), by signed calls or through an SNS topic."""
