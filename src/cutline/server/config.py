"""The service's settings: typed, read once from CUTLINE_* variables, checked before anything starts."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import limits
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cutline.errors import ConfigError
from cutline.server.strength import bits_of
from cutline.settings import FILE, PREFIX, value_of
from cutline.signatures import is_secret

SECRET_LENGTH, SECRET_BITS, TOKEN_BITS = 50, 110, 40  # random ones have more: strength.py
MOST_PIXELS, MOST_BYTES = 250_000_000, 2**30  # of one photo: 750 MB in memory, before the model sees it
WIDEST_V4, WIDEST_V6 = 12, 20  # bits of a network that one operator may have
SUBMISSION_PORT = 587
NO_RESTYLER = "off"
MOST_CAPTIONS = 10  # of one photo, whoever asks; each is a row that is kept
TOPIC = re.compile(r"arn:(?:aws|aws-cn|aws-us-gov):sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
_PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


class RunMode(StrEnum):
    """How strict the service is about its settings."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class CaptionsBy(StrEnum):
    """Who captions a new photo."""

    WORKERS = "workers"
    CALLBACK = "callback"


class OpenIdProvider(BaseModel):
    """One OpenID Connect provider beside Google and GitHub."""

    id: str
    name: str
    server_url: str
    client_id: str
    secret: SecretStr


# What nobody else may read: these are what CUTLINE_..._FILE is for, although any setting may be in a file.
HOLD_SECRETS = (
    "secret_key",
    "database_url",
    "broker_url",
    "channel_layer_url",
    "cache_url",
    "storage_access_key",
    "storage_secret_key",
    "mail_url",
    "google_secret",
    "github_secret",
    "openid_providers",
    "metrics_token",
    "backup_key",
    "backup_access_key",
    "backup_secret_key",
    "callback_secret",
)


class EnvironmentAndFiles(EnvSettingsSource):
    """The environment, and the files that CUTLINE_..._FILE names in it.

    Raises ConfigError that names each file which cannot be used.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        read, unusable = dict(self.env_vars), []
        for name in settings_cls.model_fields:
            variable = PREFIX + name.upper()
            if os.environ.get(variable + FILE):
                try:
                    read[variable.lower()] = value_of(variable, os.environ)
                except ConfigError as error:
                    unusable.append((f"{name}{FILE}", error.message))
        if unusable:
            raise _refusal("The settings cannot be used", unusable)
        self.env_vars = read


class ServerSettings(BaseSettings):
    """Every setting of the service. CUTLINE_DATABASE_URL sets database_url, and so on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, and files that it names, alone."""
        return init_settings, EnvironmentAndFiles(settings_cls)

    mode: RunMode = Field(
        RunMode.DEVELOPMENT, description="development, or production: then insecure settings are refused."
    )
    data_dir: Path = Field(
        Path("data"), description="Folder for everything that is stored without other servers."
    )
    public_url: str = Field(
        "",
        description="The service's public URL, with which its links start. If empty, they start like"
        " the request's own URL (in development only).",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs sessions and links. In development one is generated in the data folder.",
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Host names and addresses that the service answers to, separated by commas; others get"
        " 400. In development `cutline serve --host ADDRESS` adds that one, `--network` the machine's own.",
    )
    trusted_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Other origins (https://HOST[:PORT]) whose pages may use the API and read its answers.",
    )
    hsts_subdomains: bool = Field(
        True,
        description="In production with https, browsers are told to use https for all hosts below"
        " public_url's, too.",
    )
    trust_proxy: bool = Field(
        False,
        description="Trust X-Forwarded-For and X-Forwarded-Proto: only behind a proxy that sets them.",
    )
    web_app: bool = Field(
        True, description="Serve the web app if it is built; otherwise a small interim page."
    )
    debug: bool = Field(False, description="Show tracebacks in the browser. Never in production.")
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        _PRIVATE_NETWORKS,
        description="With trust_proxy: the addresses and networks of the proxies. Anyone else there who"
        " can reach the service directly can choose the address that limits and logs see.",
    )
    proxy_count: int = Field(
        1,
        ge=1,
        description="With trust_proxy: how many proxies a request passes, one after the other. Only"
        " so many addresses of X-Forwarded-For are trusted.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The lowest level that is logged."
    )
    security_log: Path | None = Field(
        None,
        description="File of the security log, a line of JSON for each event. Empty: among the other logs.",
    )
    log_format: Literal["text", "json"] = Field("text", description="text for people, json for machines.")

    database_url: str = Field(
        "",
        description="postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:////PATH; "
        "SQLite in the data folder where empty.",
    )
    database_pool: int = Field(24, ge=2, description="Most connections to PostgreSQL that one process opens.")
    broker_url: str = Field(
        "memory://",
        description="redis://..., rediss://..., unix://SOCKET?db=0 or amqp://...; "
        "memory:// runs the worker inside the web process.",
    )
    channel_layer_url: str = Field("memory://", description="redis://...; memory:// for one process.")
    cache_url: str = Field(
        "memory://", description="redis://...; memory:// for one process. Rate limits are counted there."
    )
    storage_url: str = Field(
        "",
        description="s3://BUCKET[/PREFIX]?endpoint=URL&region=R or file:///FOLDER; "
        "a folder in the data folder where empty.",
    )
    storage_access_key: SecretStr = Field(SecretStr(""), description="The access key of the S3 store.")
    storage_secret_key: SecretStr = Field(SecretStr(""), description="Its secret.")
    mail_url: str = Field(
        "",
        description="smtp://USER:PASSWORD@HOST:PORT (STARTTLS on port 587 or with ?starttls=1) or "
        "smtps://...; files in DATA/mail where empty.",
    )
    mail_from: str = Field("Cutline <cutline@localhost>", description="The sender of mails.")

    google_client_id: str = Field("", description="Sign-in with Google, where set.")
    google_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    github_client_id: str = Field("", description="Sign-in with GitHub, where set.")
    github_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    openid_providers: tuple[OpenIdProvider, ...] = Field(
        (), description="JSON list of {id, name, server_url, client_id, secret}."
    )

    model: str = Field(
        "",
        description="The model, as cutline.load takes it; if empty, the bundled one. An alias of a registry"
        " (registry:PLACE#champion) is followed while the service runs.",
    )
    models: dict[str, str] = Field(
        {}, description='JSON: more models that may be asked for, by id: {"large": "/srv/large.zip"}.'
    )
    model_poll_s: float = Field(
        15,
        ge=0,
        description="How often a process looks whether an alias of a registry (model, models) has moved;"
        " 0: never.",
    )
    canary_percent: float = Field(
        0,
        ge=0,
        le=100,
        description="The share of accounts and visitors whose caption jobs go to the alias challenger of the"
        " registry that model follows; in percent. Until somebody changes it while the service runs.",
    )
    shadow_percent: float = Field(
        0,
        ge=0,
        le=100,
        description="The share of other caption jobs whose photos the challenger captions, too, for nobody:"
        " only how it compares is kept. In percent; until somebody changes it while the service runs.",
    )
    model_threads: int = Field(0, description="Threads of the model; 0: one per core.")
    candidates: int = Field(
        3, ge=1, le=MOST_CAPTIONS, description="How many captions are written for a photo."
    )
    batch_size: int = Field(8, ge=1, description="Most photos in one forward pass.")
    batch_wait_ms: float = Field(
        4.0, ge=0, description="How long a photo waits for others to join its forward pass."
    )
    worker_threads: int = Field(
        16, ge=1, description="Jobs that a worker runs at once; twice batch_size keeps batches full."
    )

    captions_by: CaptionsBy = Field(
        CaptionsBy.WORKERS,
        description="Who captions a new photo: workers, or callback: a function that hears of it from the"
        " bucket, and calls back (docs/guide/deploy.md). What asks for options of its own is the workers'.",
    )
    callback_wait_s: float = Field(
        60, gt=0, description="How long a photo waits for the function; then a worker captions it."
    )
    callback_secret: SecretStr = Field(
        SecretStr(""),
        description="Signs the function's calls: whsec_ and the base64 of 24 bytes or more. While it is"
        " replaced: the new one, a space, the old one.",
    )
    callback_topic: str = Field(
        "",
        description="The SNS topic (its ARN) that the function publishes to instead: the service confirms its"
        " subscription.",
    )

    restyler: str = Field(
        "",
        description="The language model that writes captions in a voice, as `cutline restyle --restyler`"
        " takes it; if empty, the one that ships; off: none.",
    )
    restyler_at_once: int = Field(
        2, ge=1, description="How many requests for captions in a voice a process writes at once."
    )
    restyler_timeout_s: float = Field(
        60, gt=0, description="How long a language model may take for one request; jobs try it twice."
    )

    max_upload_bytes: int = Field(32 * 2**20, description="Most bytes of one photo.")
    max_upload_files: int = Field(100, description="Most photos in one request.")
    max_bulk_bytes: int = Field(2 * 2**30, description="Most bytes of one archive.")
    max_body_bytes_anonymous: int = Field(
        256 * 2**20, description="Most bytes of one request without an account, be it photos or an archive."
    )
    max_bulk_items: int = Field(100_000, description="Most photos in one archive or list.")
    max_images_anonymous: int = Field(200, description="Most images of a visitor without an account.")
    max_images_network: int = Field(
        1000,
        description="Most images of all visitors without an account in one network: an address, or a /64.",
    )
    max_images_visitors: int = Field(
        100_000, description="Most images of all visitors without an account, wherever they are."
    )
    max_bytes_network: int = Field(
        2 * 2**30, description="Most bytes that are kept for the visitors without an account of one network."
    )
    max_bytes_visitors: int = Field(
        50 * 2**30, description="Most bytes that are kept for all visitors without an account."
    )
    max_bulks_network: int = Field(
        8, description="Most unfinished bulks of the visitors without an account in one network."
    )
    max_images: int = Field(1_000_000, description="Most images of one account.")
    max_captions: int = Field(
        1000,
        ge=1,
        description="Most versions of the caption of one image, and most candidates that are asked for one.",
    )
    max_pixels: int = Field(60_000_000, description="Most pixels of one photo, width times height.")
    pixels_in_memory: int = Field(
        60_000_000,
        ge=1,
        description="Pixels that all decoders of a process hold at once (5 to 15 bytes each); others wait,"
        " and one account or address has at most half. A larger photo is decoded alone.",
    )
    master_side_px: int = Field(2048, description="The longer side to which a stored photo is scaled down.")
    anonymous_days: float = Field(
        7, description="Days after which images of visitors without an account are deleted."
    )
    undo_s: float = Field(600, description="How long deleted images can be restored.")
    link_s: int = Field(
        600, description="How long a link to a private file works at least; at most twice as long."
    )
    publish_below: float = Field(
        0.3, ge=0, le=1, description="A picture whose NSFW score is lower is published at once."
    )
    hold_above: float = Field(
        0.85,
        ge=0,
        le=1,
        description="A picture whose score is higher is rejected; in between, a moderator decides.",
    )
    moderate_words: bool = Field(
        True,
        description="Whether a moderator reads what a person wrote for a public image before others do; until"
        " then they see what stood there before.",
    )
    fetch_timeout_s: float = Field(15, description="How long fetching a photo by URL may take in all.")
    fetches_at_once: int = Field(
        12,
        ge=2,
        description="Photos by URL that a process fetches at once; one account or address has at most half"
        " of them, one host 4.",
    )
    fetch_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Private networks (CIDR) that URLs may lead to."
    )

    lease_s: float = Field(
        60, description="How long a worker may be silent before its job is given to another."
    )
    sweep_s: float = Field(
        15, description="How often the scheduler looks for lost jobs, old files and expired images."
    )
    max_attempts: int = Field(5, description="Attempts at a job before it fails for good.")
    retry_base_s: float = Field(2, description="Delay of the first retry; each next one waits twice as long.")
    shutdown_s: float = Field(
        20, description="How long running requests and jobs may take to finish at shutdown."
    )
    event_hours: float = Field(24, description="How long events are kept for clients that reconnect.")
    max_connections: int = Field(
        800,
        ge=8,
        description="Most open connections of one process, and as many websockets; one address has at most"
        " a quarter of them.",
    )
    header_timeout_s: float = Field(
        10, gt=0, description="How long a client may take from connecting until its request's headers end."
    )
    body_timeout_s: float = Field(
        30, gt=0, description="How long a body may keep us waiting beyond what it takes at 8 KiB/s."
    )
    rate_anonymous: str = Field(
        "600/minute", description="Requests from one address (of IPv6, one /64) without an account."
    )
    rate_user: str = Field("1200/minute", description="Requests of one account, by all its keys together.")
    rate_caption: str = Field(
        "60/minute", description="Photos sent to POST /caption from one address without an account."
    )
    rate_styles: str = Field(
        "60/minute",
        description="Requests for captions in a voice, by one account or from one address without one.",
    )
    rate_visitors: str = Field(
        "300/hour",
        description="New visitors without an account from one address; each gets a quota of its own.",
    )
    rate_accounts: str = Field(
        "300/minute",
        description="Requests for signing in, account pages and the admin from one address.",
    )
    rate_websockets: str = Field("300/minute", description="New websockets from one address.")
    breached_passwords: str = Field(
        "",
        description="A filter of leaked passwords, which nobody may choose, written by `cutline manage"
        " build_password_filter`; the one that ships where empty.",
    )
    staff_second_factor: bool | None = Field(
        None,
        description="Whether staff without a second factor (an app's codes, or a passkey) are users"
        " like others;"
        " empty: in production.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token of /metrics; if empty, /metrics is open (in development only).",
    )

    backup_url: str = Field(
        "",
        description="Where `cutline manage backup` writes: a folder, or s3://BUCKET[/PREFIX]?endpoint=URL&region=R.",
    )
    backup_key: SecretStr = Field(
        SecretStr(""),
        description="Backups are encrypted with it: 32 random bytes as base64 (openssl rand -base64 32)."
        " Without it nothing in them can be read.",
    )
    backup_access_key: SecretStr = Field(SecretStr(""), description="The access key of that bucket.")
    backup_secret_key: SecretStr = Field(SecretStr(""), description="Its secret.")

    # What production refuses, and somebody may want all the same. Each names what may happen then.
    risk_guessable_secret_key: bool = Field(
        False,
        description="Risk: anyone who guesses the secret key can forge sessions and links. Allows a"
        " weak one.",
    )
    risk_guessable_metrics_token: bool = Field(
        False, description="Risk: strangers can read the service's statistics. Allows a weak metrics_token."
    )
    risk_forged_addresses: bool = Field(
        False,
        description="Risk: clients can choose the address that limits and logs see. Allows proxies in"
        " networks of"
        " any size.",
    )
    risk_fetch_anywhere: bool = Field(
        False,
        description="Risk: strangers can read your own network's servers by URL. Allows fetch_allow of"
        " any size.",
    )
    risk_http_origins: bool = Field(
        False,
        description="Risk: anyone on a visitor's network can act as them. Allows trusted_origins with http.",
    )
    risk_readable_mail: bool = Field(
        False,
        description="Risk: anyone on the network path can read links that open accounts. Allows SMTP"
        " without TLS.",
    )
    risk_forged_openid: bool = Field(
        False,
        description="Risk: anyone on the network path can sign in as anybody. Allows OpenID providers"
        " with http.",
    )
    risk_readable_database: bool = Field(
        False,
        description="Risk: anyone on the network path can read and change all data. Allows PostgreSQL"
        " without TLS"
        " beyond this host.",
    )
    risk_readable_redis: bool = Field(
        False,
        description="Risk: anyone on the network path can read events and photos that are uploaded, and"
        " queue work. Allows broker_url, channel_layer_url and cache_url without TLS beyond this host.",
    )
    risk_debug_logs: bool = Field(
        False, description="Risk: logs hold personal data and queries. Allows log_level DEBUG."
    )
    risk_memory: bool = Field(
        False,
        description="Risk: one photo can take all memory. Allows max_pixels above 250,000,000 and"
        " max_upload_bytes above 1 GiB.",
    )

    @field_validator("hosts", "trusted_origins", "fetch_allow", "proxies", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("staff_second_factor", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator(
        "rate_anonymous",
        "rate_user",
        "rate_caption",
        "rate_styles",
        "rate_visitors",
        "rate_accounts",
        "rate_websockets",
    )
    @classmethod
    def _rate(cls, value: str) -> str:
        limits.parse(value)  # ValueError where it is no rate
        return value

    @field_validator("proxies", "fetch_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)  # ValueError where it is none
        return value

    @field_validator("trusted_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{origin} must be http(s)://HOST[:PORT], with nothing after it")
        return value

    @field_validator("callback_secret")
    @classmethod
    def _secrets(cls, value: SecretStr) -> SecretStr:
        if not all(map(is_secret, value.get_secret_value().split())):
            raise ValueError("must be whsec_ and the base64 of 24 bytes or more")
        return value

    @field_validator("callback_topic")
    @classmethod
    def _topic(cls, value: str) -> str:
        if value and not TOPIC.fullmatch(value):
            raise ValueError("must be arn:aws:sns:REGION:ACCOUNT:NAME")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be http(s)://HOST[:PORT]: the service lives at the root of its host")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_broker_for_all(self) -> Self:
        if not self.in_process and "memory:" in (self.channel_layer_url[:7], self.cache_url[:7]):
            raise ValueError(
                "workers are processes of their own with this broker_url, so channel_layer_url and cache_url"
                " cannot be memory://: no event would reach a page, and each process would count for itself"
            )
        if bool(self.storage_access_key.get_secret_value()) != bool(
            self.storage_secret_key.get_secret_value()
        ):
            raise ValueError("storage_access_key and storage_secret_key are set together or not at all")
        told = self.callback_secret.get_secret_value() or self.callback_topic
        if self.captions_by is CaptionsBy.CALLBACK and not told:
            raise ValueError("captions_by=callback needs callback_secret or callback_topic")
        if self.publish_below > self.hold_above:
            raise ValueError("publish_below is above hold_above")
        return self

    @property
    def in_process(self) -> bool:
        """Whether the web process does the work itself (the laptop mode)."""
        return self.broker_url.startswith("memory:")

    @property
    def celery_broker_url(self) -> str:
        """broker_url as kombu writes it: it has its own ways to name a socket and to name nothing."""
        parts = urlsplit(self.broker_url)
        if self.in_process:
            return "memory://localhost//"
        if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
            # Left to itself, kombu checks no certificate.
            return self.broker_url + ("&" if parts.query else "?") + "ssl_cert_reqs=required"
        if parts.scheme != "unix":
            return self.broker_url
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return f"redis+socket://{parts.path}?virtual_host={database}"

    @property
    def development(self) -> bool:
        """Whether insecure settings are allowed."""
        return self.mode is RunMode.DEVELOPMENT

    @property
    def staff_needs_second_factor(self) -> bool:
        """Whether a role counts only with a second factor."""
        return not self.development if self.staff_second_factor is None else self.staff_second_factor


@lru_cache(maxsize=1)
def settings() -> ServerSettings:
    """The settings of this process, read once.

    Raises ConfigError that names every setting which is malformed or, in production, insecure or missing.
    """
    try:
        made = ServerSettings()
    except ValidationError as error:
        found = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
        raise _refusal("The settings cannot be used", found) from error
    if not made.development and (found := list(unfit_for_production(made))):
        raise _refusal("These settings are not fit for production", found)
    return made


def _refusal(what: str, found: list[tuple[str, str]]) -> ConfigError:
    lines = "".join(
        f"\n  {f'CUTLINE_{name.upper()}: ' if name else ''}{why.removeprefix('Value error, ')}"
        for name, why in found
    )
    return ConfigError(f"{what}:{lines}", hint="docs/reference/settings.md says what each setting means.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A setting that production refuses: why, and the setting that takes the risk ("": nothing does)."""

    setting: str
    why: str
    risk: str = ""


def unfit_for_production(made: ServerSettings) -> Iterator[tuple[str, str]]:
    """Give (setting, why it is refused) of everything that is insecure or missing, and not taken as a risk.

    What has a default that only suits a laptop must be chosen outright, even where the choice is the same.
    """
    for check in (_unfit_web, _unfit_connections, _unfit_mail, _unfit_sign_in, _risky):
        for found in check(made):
            if not found.risk:
                yield found.setting, found.why
            elif not getattr(made, found.risk):
                yield found.setting, f"{found.why} (CUTLINE_{found.risk.upper()}=true takes that risk)"


def _unfit_web(made: ServerSettings) -> Iterator[Unfit]:
    public = urlsplit(made.public_url)
    if not made.secret_key.get_secret_value():
        why = "is missing: anyone who knows it can forge sessions and links, so it has no default"
        yield Unfit(setting="secret_key", why=why)
    if made.debug:
        yield Unfit(setting="debug", why="shows settings and code to every visitor when something fails")
    for name, why in _MUST_BE_CHOSEN.items():
        if name not in made.model_fields_set or getattr(made, name) in ("", SecretStr("")):
            yield Unfit(setting=name, why=f"is missing: {why}")
    if "*" in made.hosts:
        why = "allows any host name, so links in mails can be forged to lead to another site"
        yield Unfit(setting="hosts", why=why)
    elif public.hostname and not _named(public.hostname, made.hosts):
        why = f"lacks {public.hostname}, the host of public_url: its requests would be refused"
        yield Unfit(setting="hosts", why=why)
    if public.scheme == "http" and not _is_local(public.hostname):
        why = "is not https: passwords, sessions and private photos would be sent unencrypted"
        yield Unfit(setting="public_url", why=why)
    if public.scheme == "https" and not made.trust_proxy:
        why = (
            "is off, yet only a proxy can serve the https of public_url:"
            " every visitor would appear to have its address"
        )
        yield Unfit(setting="trust_proxy", why=why)
    if made.trust_proxy and "proxies" not in made.model_fields_set:
        why = "is missing: everybody on a private network could choose the address that limits and logs see"
        yield Unfit(setting="proxies", why=why)


def _unfit_connections(made: ServerSettings) -> Iterator[Unfit]:
    for name in ("broker_url", "channel_layer_url", "cache_url", "database_url"):
        url = urlsplit(getattr(made, name))
        host = _host_of(url)
        if not _is_local(host) and not (url.password or "sslcert" in parse_qs(url.query)):
            why = f"has no password, and {host} is another machine: anyone who can reach it can write"
            yield Unfit(setting=name, why=why)
    store = urlsplit(parse_qs(urlsplit(made.storage_url).query).get("endpoint", [""])[0])
    if store.scheme == "http" and made.public_url.startswith("https:") and not _is_local(store.hostname):
        why = "has an http endpoint: links to private photos would be sent unencrypted"
        yield Unfit(setting="storage_url", why=why)
    if made.captions_by is CaptionsBy.CALLBACK and not made.storage_url.startswith("s3://"):
        why = "is a folder, from which no function hears of photos, yet captions_by is callback"
        yield Unfit(setting="storage_url", why=why)


def _unfit_mail(made: ServerSettings) -> Iterator[Unfit]:
    mail = urlsplit(made.mail_url)
    if made.mail_url and mail.scheme not in ("smtp", "smtps"):
        yield Unfit(setting="mail_url", why="is neither smtp:// nor smtps://")
    elif not _is_local(mail.hostname) and not mail_is_encrypted(made.mail_url):
        yield Unfit(
            setting="mail_url",
            why="sends its password, and links that open accounts, unencrypted: use smtps://, port 587 or"
            " ?starttls=1",
            risk="risk_readable_mail",
        )
    if not _is_local(mail.hostname) and made.mail_from == ServerSettings.model_fields["mail_from"].default:
        yield Unfit(setting="mail_from", why="is missing: mail servers refuse a sender at localhost")


def _unfit_sign_in(made: ServerSettings) -> Iterator[Unfit]:
    for provider in ("google", "github"):
        secret = getattr(made, f"{provider}_secret").get_secret_value()
        if getattr(made, f"{provider}_client_id") and not secret:
            why = f"is missing, yet {provider}_client_id is set"
            yield Unfit(setting=f"{provider}_secret", why=why)
    for each in made.openid_providers:
        url = urlsplit(each.server_url)
        if url.scheme != "https" and not _is_local(url.hostname):
            yield Unfit(
                setting="openid_providers",
                why=f"has {each.id} without https: anyone on the network path could sign in as anybody",
                risk="risk_forged_openid",
            )


def _risky(made: ServerSettings) -> Iterator[Unfit]:
    """What an operator may have a reason for, and must then say so."""
    yield from _guessable(made)
    for name, risk, danger in _NETWORKS:
        for network in getattr(made, name):
            if _is_too_wide(network):
                yield Unfit(setting=name, why=f"has {network}, far more than a network: {danger}", risk=risk)
    if http := [origin for origin in made.trusted_origins if origin.startswith("http:")]:
        yield Unfit(
            setting="trusted_origins",
            why=f"has {http[0]}: anyone on a visitor's network can send pages in its name, which then"
            " use the API as that visitor",
            risk="risk_http_origins",
        )
    yield from _readable(made)
    if made.log_level == "DEBUG":
        why = "is DEBUG: queries, addresses of mails and tokens would be kept in logs"
        yield Unfit(setting="log_level", why=why, risk="risk_debug_logs")
    for name, most in (("max_pixels", MOST_PIXELS), ("max_upload_bytes", MOST_BYTES)):
        if getattr(made, name) > most:
            why = f"is above {most:,}: one photo could take all memory"
            yield Unfit(setting=name, why=why, risk="risk_memory")


def _guessable(made: ServerSettings) -> Iterator[Unfit]:
    secret = made.secret_key.get_secret_value()
    token = made.metrics_token.get_secret_value()
    if secret and (len(secret) < SECRET_LENGTH or bits_of(secret) < SECRET_BITS):
        yield Unfit(
            setting="secret_key",
            why=f"can be guessed: give it {SECRET_LENGTH} random characters or more",
            risk="risk_guessable_secret_key",
        )
    if token and bits_of(token) < TOKEN_BITS:
        yield Unfit(
            setting="metrics_token",
            why="can be guessed: give it 20 random characters or more",
            risk="risk_guessable_metrics_token",
        )


def _readable(made: ServerSettings) -> Iterator[Unfit]:
    """Connections to other hosts without TLS, or with one that checks nothing."""
    for name in ("broker_url", "channel_layer_url", "cache_url"):
        url = urlsplit(getattr(made, name))
        checked = parse_qs(url.query).get("ssl_cert_reqs", ["required"])[0].lower() != "none"
        if not _is_local(_host_of(url)) and not (url.scheme in ("rediss", "amqps") and checked):
            yield Unfit(
                setting=name,
                why="connects to another host without encryption, or without checking its certificate:"
                " use rediss:// or amqps://",
                risk="risk_readable_redis",
            )
    url = urlsplit(made.database_url)
    mode = parse_qs(url.query).get("sslmode", [""])[-1]
    if not _is_local(_host_of(url)) and mode not in ("require", "verify-ca", "verify-full"):
        yield Unfit(
            setting="database_url",
            why="connects to another host without encryption: add ?sslmode=verify-full, or require at least",
            risk="risk_readable_database",
        )


_NETWORKS = (
    ("proxies", "risk_forged_addresses", "clients there could choose which address limits and logs see"),
    ("fetch_allow", "risk_fetch_anywhere", "strangers could read your own servers by URL"),
)


_ALL_V4_AS_V6 = ipaddress.IPv6Network("::ffff:0:0/96")


def _is_too_wide(text: str) -> bool:
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network):
        if mapped := network.network_address.ipv4_mapped:
            return _is_too_wide(f"{mapped}/{max(0, network.prefixlen - 96)}")
        if _ALL_V4_AS_V6.subnet_of(network):
            return True
        return network.prefixlen < (7 if network.network_address.is_private else WIDEST_V6)
    private = (ipaddress.ip_network(each) for each in _PRIVATE_NETWORKS)
    if any(isinstance(each, ipaddress.IPv4Network) and network.subnet_of(each) for each in private):
        return False
    return network.prefixlen < WIDEST_V4


def _host_of(url: SplitResult) -> str:
    """Where a URL leads; "" for files, sockets and memory."""
    query = parse_qs(url.query)
    named = [*query.get("hostaddr", []), *query.get("host", []), unquote(url.hostname or "")]
    return next((host for host in named if host and not host.startswith("/")), "")


_MUST_BE_CHOSEN = {
    "public_url": "links in mails lead there, and cookies are made for it",
    "database_url": "say postgres://..., or sqlite:////PATH for one machine",
    "broker_url": "say redis://... or amqp://..., or memory:// to work inside the one web process",
    "channel_layer_url": "say redis://..., or memory:// for one web process",
    "cache_url": "say redis://..., or memory:// for one web process; rate limits count there",
    "storage_url": "say s3://BUCKET..., or file:///FOLDER for one machine",
    "mail_url": "without it nobody can verify an address or reset a password",
    "metrics_token": "/metrics shows how the service is used, and would be open to everybody",
}


def mail_is_encrypted(url: str) -> bool:
    """Whether mails leave over TLS, from the start or by STARTTLS."""
    parts = urlsplit(url)
    return (
        parts.scheme == "smtps"
        or parts.port == SUBMISSION_PORT
        or parse_qs(parts.query).get("starttls") == ["1"]
    )


def _named(host: str, hosts: tuple[str, ...]) -> bool:
    return any(host == name.strip("[]") or (name[:1] == "." and f".{host}".endswith(name)) for name in hosts)


def _is_local(host: str | None) -> bool:
    """Whether a host is this machine: what goes there passes no network."""
    with suppress(ValueError):
        return ipaddress.ip_address(host or "").is_loopback
    return host in (None, "", "localhost")


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
