"""Captions for a million photos: sources, sinks, and the batch function that every engine calls.

from cutline.bulk import BatchCaptioner, Settings

captions = BatchCaptioner(Settings(max_chars=125))
captions({"image": ["a.jpg", "s3://bucket/b.jpg"]})    # a column of captions, and one of errors

`cutline bulk` runs it over a source, in shards that a manifest lists: see docs/guide/bulk.md.
"""

from cutline.bulk.batch import BatchCaptioner, Done, Settings

__all__ = ["BatchCaptioner", "Done", "Settings"]
