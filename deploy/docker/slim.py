"""Remove from a folder of installed packages what the service never reads: slim.py SITE_PACKAGES.

A pattern that matches nothing is an error: its package changed, and somebody must look again.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

# Packages that others bring for what the service does not do.
UNUSED_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "to load tokenizers from a hub": (
        "filelock",
        "fsspec",
        "hf-xet",
        "httpcore2",
        "httpx2",
        "huggingface-hub",
        "truststore",
    ),
    "Celery's shell": ("click-repl", "prompt-toolkit", "wcwidth"),
    "ONNX Runtime's tools": ("flatbuffers", "protobuf"),
    "uvicorn's restarts during development": ("watchfiles",),
    "YAML files for uvicorn": ("pyyaml",),
}
# Files and folders, by pattern, and what they are for.
UNUSED_FILES: Mapping[str, str] = {
    "onnxruntime/capi/libonnxruntime.so.*": "programs in C; Python has a copy of its own",
    "onnxruntime/datasets": "examples",
    "onnxruntime/quantization": "making models",
    "onnxruntime/tools": "making models",
    "onnxruntime/transformers": "making models",
    "numpy/distutils": "compiling",
    "numpy/f2py": "compiling Fortran",
    "numpy/_core/include": "compiling against numpy",
    "numpy/**/tests": "tests",
    "numpy/_core/*_tests.*": "tests",
    "numpy/_core/_simd.*": "tests",
    "**/*.pyx": "compiling",
    "**/*.[ch]": "compiling",
    "*.dist-info/RECORD": "removing packages",
    "*.dist-info/sboms": "what went into a wheel",
    # Django's admin sends the others, without spaces, unless it is debugged.
    "django/contrib/admin/static/admin/js/vendor/jquery/jquery.js": "debugging",
    "django/contrib/admin/static/admin/js/vendor/select2/select2.full.js": "debugging",
    "django/contrib/admin/static/admin/js/vendor/xregexp/xregexp.js": "debugging",
    "ninja/static/ninja/*.map": "debugging the page that shows the API",
    "ninja/static/ninja/redoc*": "another such page",
    "django/contrib/gis": "maps",
    "**/*.pyi": "type checkers",
    "**/*.po": "translators",
}
# Of the folders in these folders, all but these are removed.
USED_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "boto3/data": ("s3", "sns", "sqs"),
    # The services that ours asks, and those that log in to them.
    "botocore/data": ("s3", "sns", "sqs", "sso", "sso-oidc", "sts"),
    "django/**/locale": ("en",),  # the service's pages are in English; the web app has its own words
    "allauth/**/locale": ("en",),
    # Those that a service can have (django_settings.py), and what they are made of.
    "allauth/socialaccount/providers": ("base", "github", "google", "oauth2", "openid_connect"),
}


class Stale(Exception):
    """Something that is to be removed is not there."""


def packages(site: Path) -> dict[str, Distribution]:
    """What is installed in a folder, by name."""
    return {each.name.lower().replace("_", "-"): each for each in distributions(path=[str(site)])}


def remove_packages(site: Path) -> None:
    """Remove all files of the packages that nobody imports."""
    installed = packages(site)
    for purpose, names in UNUSED_PACKAGES.items():
        for name in names:
            if name not in installed:
                raise Stale(f"{name} ({purpose}) is not installed")
            for file in installed[name].files or ():
                path = Path(file.locate())
                path.unlink(missing_ok=True)
                remove_empty(path.parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder that has nothing in it, and those that had nothing but that."""
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def unused(site: Path) -> Iterator[Path]:
    """Files and folders that are removed."""
    for pattern, purpose in UNUSED_FILES.items():
        found = list(site.glob(pattern))
        if not found:
            raise Stale(f"{pattern} (for {purpose}) matches nothing")
        yield from found
    for pattern, used in USED_FOLDERS.items():
        folders = list(site.glob(pattern))
        missing = [name for name in used if not any((folder / name).is_dir() for folder in folders)]
        if missing:
            raise Stale(f"{pattern} has no {missing}")
        for folder in folders:
            yield from (each for each in folder.iterdir() if each.is_dir() and each.name not in used)


def remove_files(site: Path) -> None:
    """Remove files and folders by pattern."""
    for path in list(unused(site)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def strip(site: Path) -> None:
    """Remove what only debuggers read of compiled modules and libraries, where they still load after that.

    Some libraries do not: a tool patched them when they were put into a wheel.
    """
    for path in [each for each in site.rglob("*.so*") if re.search(r"\.so(\.\d+)*$", each.name)]:
        stripped = path.with_name(f"{path.name}.stripped")
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped, path], check=True)
        try:
            ctypes.CDLL(str(stripped), mode=os.RTLD_LAZY)
        except OSError:
            stripped.unlink()
        else:
            stripped.replace(path)


def size(site: Path) -> float:
    """The size of all files, in MB."""
    return sum(path.lstat().st_size for path in site.rglob("*") if not path.is_dir()) / 1e6


def main(site: Path) -> int:
    """Do all of that, and say how much it was."""
    before = size(site)
    try:
        remove_packages(site)
        remove_files(site)
        strip(site)
    except Stale as stale:
        print(f"slim.py: {stale}", file=sys.stderr)
        return 1
    print(f"{site}: {before:.0f} MB, now {size(site):.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
