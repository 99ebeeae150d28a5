"""What programs that caption the dev photos of a recipe have in common: their arguments, and the captions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cutline
from cutline.captioning.options import DecodingOptions
from cutline.captioning.streaming import caption_each
from cutline.training.datasets import read_source
from cutline.training.examples import Example


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """RECIPE [KEY=VALUE]... [--model BUNDLE]."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--model", help="a bundle; by default the one that ships")
    return parser


def captions_of(
    photos: Sequence[Example], captioner: cutline.Captioner, asked: DecodingOptions
) -> list[cutline.Caption]:
    """The first caption of each photo."""
    found = []
    images = (read_source(each.image) for each in photos if each.image is not None)
    for outcome in caption_each(captioner, images, options=asked):
        if not isinstance(outcome, list):
            raise outcome
        found.append(outcome[0])
    return found
