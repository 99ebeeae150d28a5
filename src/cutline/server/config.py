"""The service's settings: typed, read once from CUTLINE_* variables, checked before anything starts."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class RunMode(StrEnum):
    """How strict the service is about its settings."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class OpenIdProvider(BaseModel):
    """One OpenID Connect provider beside Google and GitHub."""

    id: str
    name: str
    server_url: str
    client_id: str
    secret: SecretStr


class ServerSettings(BaseSettings):
    """Every setting of the service. CUTLINE_DATABASE_URL sets database_url, and so on."""

    model_config = SettingsConfigDict(env_prefix="CUTLINE_", frozen=True, extra="ignore")

    mode: RunMode = Field(
        RunMode.DEVELOPMENT, description="development, or production: then insecure settings are refused."
    )
    data_dir: Path = Field(
        Path("data"), description="Everything that is kept without other servers lies here."
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="Where people reach the service; links in mails begin with it."
    )
    secret_key: SecretStr = Field(
        SecretStr(""), description="Signs sessions and links. Development keeps one in the data folder."
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host names that are answered, separated by commas."
    )
    trusted_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Other origins whose browsers may write, with scheme."
    )
    trust_proxy: bool = Field(
        False,
        description="Believe X-Forwarded-For and X-Forwarded-Proto: only behind a proxy that sets them.",
    )
    debug: bool = Field(False, description="Show tracebacks in the browser. Never in production.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field("text", description="text for people, json for machines.")

    database_url: str = Field(
        "", description="postgres://USER:PASSWORD@HOST:PORT/NAME; SQLite in the data folder where empty."
    )
    broker_url: str = Field(
        "memory://",
        description="redis://... or amqp://...; memory:// runs the worker inside the web process.",
    )
    channel_layer_url: str = Field("memory://", description="redis://...; memory:// for one process.")
    cache_url: str = Field(
        "memory://", description="redis://...; memory:// for one process. Rate limits count there."
    )
    storage_url: str = Field(
        "", description="s3://BUCKET[/PREFIX]?endpoint=URL&region=R; a folder in the data folder where empty."
    )
    storage_access_key: SecretStr = Field(SecretStr(""), description="The access key of the S3 store.")
    storage_secret_key: SecretStr = Field(SecretStr(""), description="Its secret.")
    mail_url: str = Field(
        "", description="smtp://USER:PASSWORD@HOST:PORT or smtps://...; files in DATA/mail where empty."
    )
    mail_from: str = Field("Cutline <cutline@localhost>", description="The sender of mails.")

    google_client_id: str = Field("", description="Sign-in with Google, where set.")
    google_secret: SecretStr = SecretStr("")
    github_client_id: str = Field("", description="Sign-in with GitHub, where set.")
    github_secret: SecretStr = SecretStr("")
    openid_providers: tuple[OpenIdProvider, ...] = Field(
        (), description="JSON list of {id, name, server_url, client_id, secret}."
    )

    model: str = Field("", description="What cutline.load takes; the bundled model where empty.")
    model_threads: int = Field(0, description="Threads of the model; 0: as many as there are cores.")
    candidates: int = Field(3, ge=1, le=10, description="How many captions are written for a photo.")
    batch_size: int = Field(8, ge=1, description="Photos that share a forward pass at most.")
    batch_wait_ms: float = Field(4.0, ge=0, description="How long a photo waits for others to share it with.")
    worker_threads: int = Field(8, ge=1, description="Jobs that a worker has in hand at once.")

    max_upload_bytes: int = Field(32 * 2**20, description="One photo's size.")
    max_upload_files: int = Field(100, description="Photos in one request.")
    max_bulk_bytes: int = Field(2 * 2**30, description="One archive's size.")
    max_bulk_items: int = Field(100_000, description="Photos in one archive or list.")
    max_images_anonymous: int = Field(200, description="Images that somebody without an account may have.")
    max_images: int = Field(1_000_000, description="Images of one account.")
    max_pixels: int = Field(60_000_000, description="Width times height of one photo.")
    master_side_px: int = Field(2048, description="The longer side that is kept of a photo.")
    anonymous_days: float = Field(7, description="Images of people without an account go after so many days.")
    undo_s: float = Field(600, description="Deleted images can be brought back for so long.")
    link_s: int = Field(
        600, description="How long a link to a private file works, at least; at most twice as long."
    )
    publish_below: float = Field(
        0.3, ge=0, le=1, description="A picture whose NSFW score is lower is published at once."
    )
    hold_above: float = Field(
        0.85, ge=0, le=1, description="One whose score is higher is refused; between, a moderator decides."
    )
    fetch_timeout_s: float = Field(15, description="How long fetching a photo by URL may take in all.")
    fetch_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Networks (CIDR) that URLs may lead to although they are private."
    )

    lease_s: float = Field(60, description="How long a worker may be silent before its job goes to another.")
    sweep_s: float = Field(
        15, description="How often lost jobs, old files and expired images are looked for."
    )
    max_attempts: int = Field(5, description="Tries of a job before it fails for good.")
    retry_base_s: float = Field(2, description="The first retry waits so long, the next twice as long ...")
    shutdown_s: float = Field(20, description="How long running jobs may take to finish at shutdown.")
    event_hours: float = Field(24, description="How long events can be resumed from.")
    rate_anonymous: str = Field("120/minute", description="Requests of one address without an account.")
    rate_user: str = Field("600/minute", description="Requests of one account or key.")
    rate_caption: str = Field(
        "60/minute", description="Photos to POST /caption by one address without an account."
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token of /metrics; open where empty (in development only)."
    )

    @field_validator("hosts", "trusted_origins", "fetch_allow", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def in_process(self) -> bool:
        """Whether the web process does the work itself (the laptop mode)."""
        return self.broker_url.startswith("memory:")

    @property
    def development(self) -> bool:
        """Whether insecure settings are allowed."""
        return self.mode is RunMode.DEVELOPMENT


@lru_cache(maxsize=1)
def settings() -> ServerSettings:
    """The settings of this process, read once."""
    return ServerSettings()


def development_secret(folder: Path) -> str:
    """The secret of a data folder, made at its first use; readable by its owner alone."""
    path = folder / "secret.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: two processes that start together must read the same secret.
        descriptor, draft = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text(encoding="ascii")
