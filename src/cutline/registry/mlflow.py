"""To MLflow's model registry, and from it. A version there is the folder that `contents.save` writes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutline.errors import MissingExtra, RegistryUnavailable, VersionMissing
from cutline.registry.contents import VERSION_FILE, Draft, of_folder, save
from cutline.registry.registry import Registry, Version

EXPERIMENT = "cutline-registry"
_FOLDER = "cutline"
_ID, _HASH, _GATES = "cutline.version", "cutline.bundle_hash", "cutline.gates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A version of a registered model in MLflow."""

    name: str
    number: str


def export_version(registry: Registry, version: Version, *, name: str, uri: str) -> Exported:
    """Write a version to MLflow as a version of the registered model ``name``, with its aliases and measures.

    The same version again is the one that is there. Raises RegistryUnavailable, MissingExtra.
    """
    contents = registry.contents(version)
    aliases = [each.name for each in registry.aliases().values() if each.version == version.id]
    with _client(uri) as client, tempfile.TemporaryDirectory() as scratch:
        number = _existing(client, name, version)
        if number is None:
            run = client.create_run(_experiment(client), run_name=f"{version.label}-{version.short}").info
            folder = Path(scratch, _FOLDER)
            save(contents, folder)
            client.log_artifacts(run.run_id, str(folder), _FOLDER)
            for key, value in _numbers(version.manifest.metrics):
                client.log_metric(run.run_id, key, value)
            client.set_terminated(run.run_id)
            source = f"{run.artifact_uri}/{_FOLDER}"
            number = client.create_model_version(name, source, run.run_id, tags=_tags(version)).version
        for alias in aliases:
            client.set_registered_model_alias(name, alias, number)
    return Exported(name=name, number=str(number))


def import_version(registry: Registry, *, name: str, uri: str, alias: str = "", number: str = "") -> Version:
    """Read a version of a registered model: the one with an alias, or a number, or else the last.

    What was exported keeps its id. Of others, a folder with a bundle is taken. Everything is checked as
    a push. Raises VersionMissing, VersionRefused, BundleError, RegistryUnavailable, MissingExtra.
    """
    import mlflow

    with _client(uri) as client, tempfile.TemporaryDirectory() as scratch:
        found = _found(client, name, alias, number)
        folder = Path(
            mlflow.artifacts.download_artifacts(artifact_uri=found.source, tracking_uri=uri, dst_path=scratch)
        )
        if (folder / VERSION_FILE).is_file():
            return registry.receive(of_folder(folder))
        return registry.push(Draft(bundle=folder))


@contextmanager
def _client(uri: str) -> Iterator[Any]:
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "This needs mlflow, which is not installed.",
            hint="Install it with: pip install 'cutline[tracking]'",
        ) from error
    from mlflow.exceptions import MlflowException

    try:
        yield mlflow.MlflowClient(tracking_uri=uri or None)
    except MlflowException as error:
        raise RegistryUnavailable(
            f"MLflow failed: {error.message}", hint="Check --uri and the name."
        ) from error


def _experiment(client: Any) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT))


def _existing(client: Any, name: str, version: Version) -> str | None:
    """The number of this version in MLflow; makes the registered model where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    for each in client.search_model_versions(f"name = '{_quoted(name)}'"):
        if each.tags.get(_ID) == version.id:
            return str(each.version)
    return None


def _found(client: Any, name: str, alias: str, number: str) -> Any:
    if alias:
        return client.get_model_version_by_alias(name, alias)
    if number:
        return client.get_model_version(name, number)
    versions = client.search_model_versions(f"name = '{_quoted(name)}'")
    if not versions:
        raise VersionMissing(f"MLflow has no version of {name}.")
    return max(versions, key=lambda each: int(each.version))


def _quoted(name: str) -> str:
    """A name within quotes of MLflow's filters."""
    return name.replace("'", "\\'")


def _tags(version: Version) -> dict[str, str]:
    gates = version.manifest.gates
    told = "none" if gates is None else "passed" if gates.passed else "rejected"
    return {_ID: version.id, _HASH: version.manifest.bundle_hash, _GATES: told}


def _numbers(metrics: Any, before: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in metrics, by names that MLflow allows."""
    for name, value in metrics.items():
        key = before + re.sub(r"[^A-Za-z0-9_./ -]", "_", str(name))
        if isinstance(value, dict):
            yield from _numbers(value, f"{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield key, float(value)
