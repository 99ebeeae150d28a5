"""The photos of a data set to evaluate on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cutline.errors import DataError, ImageError
from cutline.images import open_image
from cutline.metrics.report import DataSet
from cutline.training.datasets import (
    DataConfig,
    Example,
    canonical_split,
    data_hash,
    describe,
    load_examples,
    read_source,
    split_examples,
)

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen examples, the whole split that they are part of, and all that the data set has (known)."""

    name: str
    split: str
    chosen: Sequence[Example]
    whole: Sequence[Example]
    known: Sequence[Example]

    def data_set(self) -> DataSet:
        """The data set as the report describes it."""
        return DataSet(
            name=self.name,
            split=self.split,
            photos=len(self.chosen),
            captions=sum(len(example.captions) for example in self.chosen),
            hash=data_hash(self.chosen),
            whole_split=len(self.whole),
        )


def select(config: DataConfig, split: str, limit: int | None) -> Selection:
    """Read a data set; take the first ``limit`` photos of one split. Raises DataError for an empty one."""
    examples = load_examples(config)
    name = canonical_split(split) or split
    whole = split_examples(examples, name)
    if not whole:
        raise DataError(
            f"{config.name} has no photos in the split {split!r}.", hint=f"It has {describe(examples)}."
        )
    return Selection(name=config.name, split=name, chosen=whole[:limit], whole=whole, known=examples)


def photo_finder(selection: Selection) -> Callable[[str], Image.Image | None]:
    """A function from a key to its photo, for the page; None if it is missing or cannot be read."""
    images = {example.key: example.image for example in selection.chosen}

    def find(key: str) -> Image.Image | None:
        image = images[key]
        if image is None:
            return None
        try:
            return open_image(read_source(image))
        except ImageError:
            return None

    return find
