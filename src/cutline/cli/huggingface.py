"""`cutline bundle import-hf`: convert a Hugging Face captioner to a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from cutline.errors import OutputError


@click.command("import-hf")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--name", default="", help="The bundle's name; by default the folder's.")
@click.option("--version", default="1.0.0", show_default=True, help="The bundle's version.")
@click.option("--licence", default="unstated", show_default=True, help="What the weights may be used for.")
@click.option("--force", is_flag=True, help="Replace an existing bundle at TARGET.")
def command(folder: Path, target: Path, name: str, version: str, licence: str, force: bool) -> None:
    """Convert a captioner that transformers saved to FOLDER into a bundle at TARGET.

    Supported are vision encoder-decoders that write with GPT-2 or BERT, and BLIP. Nothing is downloaded. The
    captions stay the same, and are written several times as fast.

    \b
    cutline bundle import-hf vit-gpt2/ vit-gpt2-bundle/ --licence Apache-2.0
    cutline caption photo.jpg --model vit-gpt2-bundle/
    """
    from cutline.training.huggingface_export import export_hugging_face

    if target.exists() and not force:
        raise OutputError(
            f"{target} exists already.", kept="Nothing was changed.", hint="Use --force to replace it."
        )
    manifest = export_hugging_face(folder, target, name=name, version=version, licence=licence)
    megabytes = sum(record.bytes for record in manifest.files.values()) / 2**20
    click.echo(f"{manifest.name}@{manifest.version} is at {target} ({megabytes:.1f} MiB).")
