"""`cutline serve`: the web server; on a laptop it is the whole service."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8000, help="Port to listen on.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Everything that is kept lies here [default: data]."
)
def command(host: str, port: int, data_dir: Path | None) -> None:
    """Serve the web page, the API and websockets.

    \b
    cutline serve
    cutline serve --port 9000 --data-dir ~/cutline
    """
    if data_dir:
        os.environ["CUTLINE_DATA_DIR"] = str(data_dir)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")
    import django
    import uvicorn
    from django.core.management import call_command
    from django.db import connections

    from cutline.server.config import settings

    settings().data_dir.mkdir(parents=True, exist_ok=True)
    django.setup()
    if settings().development:
        call_command("migrate", verbosity=0, interactive=False)
        connections.close_all()
    uvicorn.run(
        "cutline.server.asgi:application",
        host=host,
        port=port,
        lifespan="on",
        ws="websockets-sansio",
        timeout_graceful_shutdown=int(settings().shutdown_s),
    )
