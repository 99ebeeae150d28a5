"""What `cutline data build` may be told, and what it says that it has made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cutline.images import DEFAULT_LIMITS, Limits
from cutline.posts.candidates import Cleaning
from cutline.training.examples import DataConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What `cutline data build` may be told.

    kind: of all sources; "auto" looks at each. consent: what those whose posts they are agreed to, a text for
    each export, in their order. data: how data sets that are no exports are read, and the shares
    of the splits. max_side_px: photos are scaled down to this and written as JPEG without metadata; None does
    so to posts' photos (1,024), and leaves those of data sets as they are.
    """

    kind: str = "auto"
    consent: tuple[str, ...] = ()
    cleaning: Cleaning = field(default_factory=Cleaning)
    data: DataConfig = field(default_factory=lambda: DataConfig(path=""))
    max_side_px: int | None = None
    shard_size: int = 1000
    limits: Limits = DEFAULT_LIMITS
    workers: int = 2


@dataclass(slots=True, kw_only=True)
class SourceNote:
    """What a source gave. places: its folder, or the files that are its parts. kinds: the networks of an
    export, or a data set's layout.
    """

    places: tuple[str, ...]
    kinds: tuple[str, ...]
    consent: str = ""
    photos: int = 0

    @property
    def path(self) -> str:
        """Where it is."""
        return ", ".join(self.places)

    @property
    def name(self) -> str:
        """What it is called, wherever it is."""
        return ", ".join(map(os.path.basename, self.places))


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was written. splits: photos and captions by split. shards: file, counts and SHA-256 of each."""

    folder: Path
    sources: tuple[SourceNote, ...]
    splits: Mapping[str, Mapping[str, int]]
    shards: tuple[Mapping[str, object], ...]
    left_out: Mapping[str, int]
    copies: int
