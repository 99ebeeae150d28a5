"""Webhooks: signed calls to other people's servers."""
