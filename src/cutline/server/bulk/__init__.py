"""Bulk: many photos from one archive or list, with progress and a result."""
