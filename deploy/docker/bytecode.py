"""Compile the modules that the service imports, and no others: bytecode.py, run by the service's Python.

Imports all of the service, captions a picture, and keeps the bytecode of what that took. Python takes it
without a look at the sources: nobody changes an image's files. Other modules are compiled at each import.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import py_compile
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# What the service imports at first use, beside its own modules.
LATER = (
    "asyncio.selector_events",
    "boto3.s3.inject",
    "botocore.signers",
    "celery.app.amqp",
    "channels_redis.core",
    "django.contrib.admin.views.main",
    "django.contrib.staticfiles.finders",
    "django.db.backends.postgresql.base",
    "kombu.transport.redis",
    "pillow_heif",
    "psycopg_pool",
    "redis.asyncio",
    "storages.backends.s3",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
NOT_HERE = ("cutline.training", "cutline.learning")  # of the image that learns


def service(package: str) -> Iterator[str]:
    """The modules of a package that the service may import."""
    module = importlib.import_module(package)
    for found in pkgutil.iter_modules(module.__path__, f"{package}."):
        if not found.name.startswith(NOT_HERE):
            yield found.name
            if found.ispkg:
                yield from service(found.name)


def use() -> None:
    """Import all that the service imports, and caption a picture."""
    import django
    from PIL import Image

    django.setup()
    missing = []
    for name in (*service("cutline"), *LATER):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if name in LATER or name.startswith("cutline.server"):
                raise
            missing.append(str(error.name))  # of an extra that is not here
    print("not here:", ", ".join(sorted(set(missing))))

    from cutline import load

    picture = Image.new("RGB", (64, 64), "green")
    print("captioned:", load().caption(picture)[0][0].text)


def main() -> int:
    """Compile what was imported."""
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as data:
        os.environ |= {"CUTLINE_DATA_DIR": data, "DJANGO_SETTINGS_MODULE": "cutline.server.django_settings"}
        use()
    files = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
    sources = sorted(name for name in files if name.endswith(".py") and name != __file__)
    for name in sources:
        py_compile.compile(
            name, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    print(
        f"compiled {len(sources)} modules, {sum(Path(name).stat().st_size for name in sources) / 1e6:.0f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
