"""`cutline registry export-mlflow` and `import-mlflow`."""

from __future__ import annotations

import json

import click

from cutline.cli._registry_places import at, place_argument, version_argument

_uri = click.option(
    "--uri",
    envvar="MLFLOW_TRACKING_URI",
    required=True,
    help="MLflow's server or database, such as sqlite:///mlflow.db  [or MLFLOW_TRACKING_URI]",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("export-mlflow")
@version_argument
@click.option("--name", required=True, help="The registered model in MLflow.")
@_uri
@_json
def export_mlflow(version: str, name: str, uri: str, as_json: bool) -> None:
    """Write a version to MLflow's model registry, with its aliases, measures and all files.

    \b
    cutline registry export-mlflow models/#champion --name captions --uri http://localhost:5000
    """
    from cutline.registry.mlflow import export_version

    place = at(version)
    made = export_version(place.registry, place.registry.find(place.ref), name=name, uri=uri)
    if as_json:
        click.echo(json.dumps({"name": made.name, "version": made.number}))
    else:
        click.echo(f"It is version {made.number} of {made.name}.")


@click.command("import-mlflow")
@place_argument
@click.option("--name", required=True, help="The registered model in MLflow.")
@click.option("--alias", default="", help="The version with this alias.")
@click.option("--number", default="", help="The version with this number; by default the last.")
@_uri
@_json
def import_mlflow(place: str, name: str, alias: str, number: str, uri: str, as_json: bool) -> None:
    """Read a version from MLflow's model registry. What `export-mlflow` wrote there keeps its id.

    Of models from elsewhere, the artifacts must be a bundle. No alias moves here.

    \b
    cutline registry import-mlflow models/ --name captions --alias champion --uri http://localhost:5000
    """
    from cutline.registry.mlflow import import_version

    made = import_version(at(place).registry, name=name, uri=uri, alias=alias, number=number)
    if as_json:
        click.echo(json.dumps({"id": made.id, "label": made.label}))
    else:
        click.echo(f"{made.id}  {made.label}")
