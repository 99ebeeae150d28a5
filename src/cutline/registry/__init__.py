"""Versions of models, in a folder or a bucket: immutable, named by their content, with aliases that move.

    from cutline.registry import Draft, open_registry

    registry = open_registry("models/")
    version = registry.push(Draft(bundle="my-bundle/", parents=(registry.find("champion").id,)))
    registry.promote(version.id, to="challenger", by="me", why="trained on last week's corrections")

registry.py says how it lies there, contents.py what a version is made of.
docs/guide/registry.md is the guide.
"""

from cutline.registry.contents import Contents, Draft, GateReport
from cutline.registry.inspection import Difference, Inspection, ancestors, compare, verify
from cutline.registry.manifest import (
    CHALLENGER,
    CHAMPION,
    DataRecord,
    GateOutcome,
    Move,
    Note,
    Run,
    VersionManifest,
)
from cutline.registry.places import RegistrySettings, is_reference, local, open_registry, parse_reference
from cutline.registry.pruning import Pruned, prune
from cutline.registry.registry import Alias, Listing, Registry, Version

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "Alias",
    "Contents",
    "DataRecord",
    "Difference",
    "Draft",
    "GateOutcome",
    "GateReport",
    "Inspection",
    "Listing",
    "Move",
    "Note",
    "Pruned",
    "Registry",
    "RegistrySettings",
    "Run",
    "Version",
    "VersionManifest",
    "ancestors",
    "compare",
    "is_reference",
    "local",
    "open_registry",
    "parse_reference",
    "prune",
    "verify",
]
