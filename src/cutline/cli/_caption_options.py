"""The options of captioning, which `cutline caption` and `cutline bulk` share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cutline.captioning.options import MAX_CAPTIONS, OPTIONS, DecodingOptions, Strategy
from cutline.cli._options import given, group

if TYPE_CHECKING:
    from cutline.images import Limits

EXCLUDE = click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders of this name, such as '*-edited.*', or of this path if it has a slash.",
)
MODEL = click.option(
    "--model",
    "-m",
    metavar="URI",
    help="A bundle's folder or zip, openvino:BUNDLE to run it on OpenVINO (openvino: alone is the one that"
    " ships), registry:REGISTRY#VERSION, hf:FOLDER, or openai:URL#MODEL.",
)
N = click.option(
    "-n", "n", type=click.IntRange(1, MAX_CAPTIONS), default=1, show_default=True, help="Captions per photo."
)
SIDECAR = click.option(
    "--sidecar", is_flag=True, help="Also write photo.txt beside photo.jpg; a text of yours is kept."
)
STRICT = click.option(
    "--strict", is_flag=True, help="Refuse a JPEG that lacks its end, however little of it."
)
TEXTS = group(
    click.option("--prefix", default="", help="Text before each caption."),
    click.option("--suffix", default="", help="Text after each caption."),
    click.option("--max-chars", type=int, help="Shorten for alternative text, at the end of a phrase."),
)
MIN_CONFIDENCE = click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="PROBABILITY",
    help="Skip photos of whose caption the model is less sure; their line says so. For bundles that say how"
    " sure they are.",
)
BATCH_SIZE = click.option(
    "--batch-size", type=click.IntRange(1, 1024), help="Photos per batch; by default what suits the model."
)
RESTYLER = click.option(
    "--restyler",
    metavar="URI",
    envvar="CUTLINE_RESTYLER",
    help="The language model that writes in that voice; see cutline restyle --help.",
)
# Ranges are checked by Limits, for the library as for the command.
LIMITS = group(
    click.option("--max-file-bytes", type=int, help="Largest file."),
    click.option("--max-pixels", type=int, help="Most pixels, width times height."),
    click.option("--max-side-px", type=int, help="Longest side."),
    click.option("--max-frames", type=int, help="Most frames of an animation (only the first is captioned)."),
    click.option("--max-total-pixels", type=int, help="Most pixels in all frames, or scans of a JPEG."),
    click.option("--max-metadata-bytes", type=int, help="Most bytes of EXIF and the like."),
)
# fmt: off
LIMIT_NAMES = (
    "max_file_bytes", "max_pixels", "max_side_px", "max_frames", "max_total_pixels", "max_metadata_bytes",
)
# fmt: on


def given_limits(typed: dict[str, Any]) -> dict[str, int]:
    """As ``given``, with the limits."""
    return given(typed, LIMIT_NAMES)


def limits_of(chosen: Mapping[str, int]) -> Limits:
    """The limits of the environment, but for those that were chosen. Raises ConfigError."""
    from cutline.images import Limits
    from cutline.settings import from_environment

    return dataclasses.replace(from_environment(Limits()), **chosen)


def decoding_of(chosen: Mapping[str, Any]) -> DecodingOptions:
    """The decoding that was chosen: an option of sampling alone chooses sampling."""
    names = dict(chosen)
    if any(OPTIONS[name].only is Strategy.SAMPLE for name in names):
        names.setdefault("strategy", Strategy.SAMPLE)
    return DecodingOptions(**names)
