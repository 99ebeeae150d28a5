"""`cutline bundle`: look at model bundles, check them, copy them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cutline.cli._options import group
from cutline.cli.huggingface import command as import_hf
from cutline.errors import OutputError

if TYPE_CHECKING:
    from cutline.captioning.bundle import Bundle, Manifest

_place = click.argument("bundle", required=False, metavar="[BUNDLE]")


@click.group()
def command() -> None:
    """Show, verify, export and build model bundles: folders or zips. Without BUNDLE: the one that ships.

    \b
    cutline bundle show
    cutline bundle verify my-model.zip
    cutline bundle export my-model.zip
    """


command.add_command(import_hf)


@command.command()
@_place
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json itself.")
def show(bundle: str | None, as_json: bool) -> None:
    """Show what a bundle holds, after checking it.

    \b
    cutline bundle show
    cutline bundle show my-model/ --json
    """
    from cutline.captioning.bundle import manifest_text

    manifest = _read(bundle).manifest
    if as_json:
        click.echo(manifest_text(manifest), nl=False)
        return
    for name, value in _facts(manifest):
        click.echo(f"{name:<14}{value}")


@command.command()
@_place
def verify(bundle: str | None) -> None:
    """Check names, sizes, hashes and format, and that the graphs load and write captions.

    \b
    cutline bundle verify my-model.zip
    """
    from PIL import Image

    from cutline.captioning.bundle_captioner import BundleCaptioner
    from cutline.captioning.options import DecodingOptions, Strategy

    whole = _read(bundle)
    manifest = whole.manifest
    captioner = BundleCaptioner(whole)
    photo = Image.new("RGB", (64, 48), "grey")
    captioner.caption(photo)
    longest = manifest.architecture.max_tokens - 1
    captioner.caption(photo, options=DecodingOptions(strategy=Strategy.GREEDY, min_length=longest))
    click.echo(f"{whole.where} is valid: {manifest.name}@{manifest.version}, {len(manifest.files)} files.")


@command.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="By default export.average, or the last stage's."
)
def build(recipe: Path, target: Path, overrides: tuple[str, ...], checkpoint: Path | None) -> None:
    """Build the bundle of a finished training: export, quantise, and check its quality on dev.

    RECIPE is the one that was trained, with the same overrides, or the recipe.yaml in the output folder.

    \b
    cutline bundle build runs/cutline-base/recipe.yaml my-bundle/ export.quantise=full
    """
    from cutline.training.config import load_recipe
    from cutline.training.publish import publish

    result = publish(load_recipe(recipe, overrides), target, checkpoint=checkpoint)
    manifest = result.manifest
    click.echo(f"{target}: {manifest.name}@{manifest.version}, dev CIDEr-D {result.cider:.1f}", nl=False)
    click.echo(f" (float32: {result.cider_float:.1f})")


@command.command()
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--version", "label", required=True, help="The new bundle's version, such as 1.2.1.")
@click.option("--limit", type=click.IntRange(min=8), default=128, show_default=True, help="Photos to use.")
def requantise(source: str, target: Path, photos: Path, label: str, limit: int) -> None:
    """Quantise a bundle again, so that it writes the same captions on every CPU.

    SOURCE is an eight-bit or a float bundle; PHOTOS is a folder of photos like those of its training, to
    calibrate on. Scores are left out: measure the result with `cutline evaluate`.

    \b
    cutline bundle requantise old-bundle/ new-bundle/ photos/ --version 1.2.1
    """
    from cutline.training.requantise import photos_in, requantise

    manifest = requantise(_read(source), target, photos_in(photos, limit), version=label)
    click.echo(f"{target}: {manifest.name}@{manifest.version}")


_on_dev_photos = group(
    click.argument("source"),
    click.argument("recipe", type=click.Path(path_type=Path)),
    click.argument("target", type=click.Path(path_type=Path)),
    click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]..."),
)


@command.command()
@_on_dev_photos
@click.option("--version", "label", required=True, help="The new bundle's version, such as 1.2.2.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 10, min_open=True),
    default=0.4,
    show_default=True,
    help="The CIDEr-D, against people's captions, from which on a caption is acceptable.",
)
def calibrate(
    source: str, recipe: Path, target: Path, overrides: tuple[str, ...], label: str, threshold: float
) -> None:
    """Fit how likely a bundle's captions are acceptable, and write the bundle with that confidence.

    The photos are those of RECIPE's dev split, which SOURCE must not have been trained on. Each half judges
    what was fitted on the other; an expected calibration error above 0.05 is refused.

    \b
    cutline bundle calibrate my-bundle/ recipes/cutline-base.yaml calibrated/ --version 1.2.2
    """
    from cutline.captioning.bundle import export_bundle
    from cutline.training.calibration import calibrate, dev_photos

    photos = dev_photos(recipe, overrides)
    bundle, confidence = calibrate(_read(source), photos, version=label, threshold=threshold)
    export_bundle(bundle, target)
    click.echo(
        f"{target}: {bundle.manifest.name}@{label}, expected calibration error "
        f"{confidence.calibration_error:.3f} on {confidence.photos:,} photos"
    )


@command.command()
@_on_dev_photos
@click.option("--version", "label", required=True, help="The new bundle's version, such as 2.0.1.")
@click.option(
    "--candidates",
    type=click.IntRange(2, 64),
    default=10,
    show_default=True,
    help="Sentences to choose among; more take longer.",
)
def rerank(
    source: str, recipe: Path, target: Path, overrides: tuple[str, ...], label: str, candidates: int
) -> None:
    """Fit what chooses a caption among many, and write the bundle with that re-ranker.

    It weighs log-probability, length, agreement and, with a text tower, likeness to the photo. The photos are
    as for calibrate, which comes afterwards: a confidence in SOURCE is left out. One that gains nothing is
    refused.

    \b
    cutline bundle rerank my-bundle/ recipes/cutline-base.yaml reranked/ --version 2.0.1
    """
    from cutline.captioning.bundle import export_bundle
    from cutline.training.calibration import dev_photos
    from cutline.training.reranking import fit_reranker

    photos = dev_photos(recipe, overrides)
    bundle, reranker = fit_reranker(_read(source), photos, version=label, candidates=candidates)
    export_bundle(bundle, target)
    click.echo(f"{target}: {bundle.manifest.name}@{label}, CIDEr-D {reranker.gain:+.2f}")


@command.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--from", "bundle", metavar="BUNDLE", help="The bundle to copy; by default the one that ships.")
@click.option("--force", is_flag=True, help="Replace an existing bundle at TARGET.")
def export(target: Path, bundle: str | None, force: bool) -> None:
    """Copy a bundle to TARGET, as a zip where TARGET ends in .zip, else as a folder.

    \b
    cutline bundle export cutline-base.zip
    cutline bundle export unpacked/ --from my-model.zip
    """
    from cutline.captioning.bundle import export_bundle

    if target.exists() and not force:
        raise OutputError(
            f"{target} exists already.", kept="Nothing was changed.", hint="Use --force to replace it."
        )
    whole = _read(bundle)
    export_bundle(whole, target)
    click.echo(f"{whole.manifest.name}@{whole.manifest.version} is at {target}.")


@command.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of bundle.json.

    \b
    cutline bundle schema > bundle.schema.json
    """
    import json

    from cutline.captioning.bundle import manifest_schema

    click.echo(json.dumps(manifest_schema(), indent=2))


def _read(place: str | None) -> Bundle:
    from cutline.captioning.bundle import read_bundle
    from cutline.captioning.sources import default_bundle
    from cutline.registry.places import local

    return read_bundle(local(place) or default_bundle())


def _facts(manifest: Manifest) -> list[tuple[str, object]]:
    from cutline.strict import dump

    architecture, pixels = manifest.architecture, manifest.preprocessing
    rows, cols = architecture.grid
    size = sum(record.bytes for record in manifest.files.values())
    decoding = ", ".join(f"{name} {value}" for name, value in dump(manifest.decoding).items())
    return [
        ("name", f"{manifest.name}@{manifest.version}"),
        ("licence", manifest.licence),
        ("language", manifest.text.language or "not said"),
        ("created", manifest.created),
        ("architecture", f"{architecture.kind}, {rows} x {cols} grid, {architecture.vocabulary:,} tokens"),
        ("photos", f"{pixels.width_px} x {pixels.height_px} px, {pixels.mode}"),
        ("decoding", decoding),
        ("trained on", manifest.training_data.description),
        ("data hash", manifest.training_data.hash),
        ("metrics", ", ".join(f"{name} {value}" for name, value in manifest.metrics.items()) or "none"),
        ("size", f"{size / 2**20:.1f} MiB in {len(manifest.files)} files"),
    ]
