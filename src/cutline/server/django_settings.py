"""Django's settings, all of them derived from `config.settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url
from corsheaders.defaults import default_headers

from cutline.server.account.providers import social_providers
from cutline.server.admin.theme import UNFOLD as UNFOLD
from cutline.server.config import RunMode, development_secret, settings

_settings = settings()
_data = _settings.data_dir.resolve()
_here = Path(__file__).parent
_production = _settings.mode is RunMode.PRODUCTION
_https = _settings.public_url.startswith("https://")

SECRET_KEY = _settings.secret_key.get_secret_value() or development_secret(_data)
DEBUG = _settings.debug
ALLOWED_HOSTS = list(_settings.hosts)
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "cutline.server.urls"
ASGI_APPLICATION = "cutline.server.asgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "cutline.server.admin.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "corsheaders",
    "ninja",
    "cutline.server.people.apps.Config",
    "cutline.server.account.apps.Config",  # before allauth: its templates replace some of allauth's
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "allauth.headless",
    "allauth.usersessions",
    "cutline.server.images.apps.Config",
    "cutline.server.jobs.apps.Config",
    "cutline.server.likeness.apps.Config",
    "cutline.server.captions.apps.Config",
    "cutline.server.feedback.apps.Config",
    "cutline.server.voices.apps.Config",
    "cutline.server.bulk.apps.Config",
    "cutline.server.learning_export.apps.Config",
    "cutline.server.backup.apps.Config",
    "cutline.server.steering.apps.Config",
    "cutline.server.canary.apps.Config",
    "cutline.server.events.apps.Config",
    "cutline.server.webhooks.apps.Config",
    "cutline.server.mail.apps.Config",
    "cutline.server.api.apps.Config",
]

MIDDLEWARE = [
    "cutline.server.health.Probes",  # first: probes name no host and have no session
    "cutline.server.observability.middleware.Observe",
    "django.middleware.security.SecurityMiddleware",
    "cutline.server.headers.SafetyHeaders",
    "corsheaders.middleware.CorsMiddleware",
    "cutline.server.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "cutline.server.account.middleware.SessionActivity",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cutline.server.api.middleware.api_middleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_here / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- what is kept ---------------------------------------------------------------------------------


_SQLITE_ENGINE = "cutline.server.sqlite"
_SQLITE = {
    # A transaction that reads first and writes later would fail at once where another wrote between.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # seconds that a writer waits for another
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
    " PRAGMA secure_delete=ON;",  # what is deleted does not stay readable in the file
}


def _database() -> dict[str, Any]:
    if _settings.database_url:
        database: dict[str, Any] = dict(dj_database_url.parse(_settings.database_url))
        if database["ENGINE"].endswith("postgresql"):
            # A pool, since the web process answers each request in a thread of its own.
            database["CONN_MAX_AGE"] = 0
            database["CONN_HEALTH_CHECKS"] = True  # a restarted database costs a connection, not a request
            database["OPTIONS"] = {
                **database.get("OPTIONS", {}),
                "connect_timeout": 5,
                # Never fewer than a busy worker's threads and its helpers need.
                "pool": {
                    "min_size": 1,
                    "max_size": max(_settings.database_pool, _settings.worker_threads + 8),
                    "timeout": 20,
                },
            }
        else:
            database |= {"ENGINE": _SQLITE_ENGINE, "OPTIONS": _SQLITE}
        return database
    return {
        "ENGINE": _SQLITE_ENGINE,
        "NAME": _data / "cutline.sqlite3",
        "OPTIONS": _SQLITE,
    }


def _redis_or(url: str, memory: dict[str, Any], redis: dict[str, Any]) -> dict[str, Any]:
    return memory if url.startswith("memory:") else redis


DATABASES = {"default": _database()}
CACHES = {
    "default": _redis_or(
        _settings.cache_url,
        {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},  # where there are more, a third goes
        },
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _settings.cache_url},
    )
}
CHANNEL_LAYERS = {
    "default": _redis_or(
        _settings.channel_layer_url,
        {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}},
        {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # A socket waits 5 s for an event at a time: a client that gives up as early would close it.
            "CONFIG": {
                "hosts": [{"address": _settings.channel_layer_url, "socket_timeout": 15}],
                "capacity": 1000,
            },
        },
    )
}
# Photos lie in images/stores.py's store; Django itself keeps no files.
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
STATIC_URL = "/static/"
STATIC_ROOT = None  # WhiteNoise finds the files where the packages keep them
STATICFILES_DIRS = [_here / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_ROOT = _here / "webapp" if _settings.web_app and (_here / "webapp").exists() else None
WHITENOISE_MAX_AGE = 300
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/assets/.+-[\w-]{8}\.\w+$"  # vite puts a hash into these names
FILE_UPLOAD_PERMISSIONS = 0o600
# How large a body may be is said in api/body_limits.py, by address; these must not be in its way.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = _settings.max_upload_files
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

# --- people ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "cutline.server.people.hashers.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "cutline.server.people.breached.BreachedPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
# Of a name with __Host-, browsers take no cookie from another host of the same domain, nor one without https.
SESSION_COOKIE_NAME = "__Host-sessionid" if _https else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if _https else "csrftoken"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no cookie of its own
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
CSRF_FAILURE_VIEW = "cutline.server.api.problems.csrf_failure"
CSRF_TRUSTED_ORIGINS = [*filter(None, [_settings.public_url]), *_settings.trusted_origins]

SESSION_ENGINE = "cutline.server.people.sessions"
LOGIN_URL = "/account/login"
LOGIN_REDIRECT_URL = "/"

ACCOUNT_ADAPTER = "cutline.server.account.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the session that signed up, and in no other
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True  # one address; a new one takes its place once it is verified
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
# Pages of the web app; the adapter says on which host. Until it is built in, account/urls.py answers with
# pages of the server's own.
HEADLESS_FRONTEND_URLS = {
    "account_confirm_email": "/account/verify-email/{key}",
    "account_reset_password": "/account/password/reset",
    "account_reset_password_from_key": "/account/password/reset/{key}",
    "account_signup": "/account/signup",
    "socialaccount_login_error": "/account/provider/callback",
}
HEADLESS_ADAPTER = "cutline.server.account.adapters.HeadlessAdapter"
HEADLESS_CLIENTS = ("browser", "app")
SOCIALACCOUNT_ADAPTER = "cutline.server.account.adapters.SocialAdapter"
SOCIALACCOUNT_PROVIDERS = social_providers(_settings)
MFA_ADAPTER = "cutline.server.account.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Cutline"
MFA_TOTP_TOLERANCE = 1  # codes of the half minute before and after count, too: clocks differ
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = _settings.development
USERSESSIONS_TRACK_ACTIVITY = True  # account.middleware writes it, less often than allauth's own would

# --- mail -----------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = SERVER_EMAIL = _settings.mail_from
EMAIL_BACKEND = "cutline.server.mail.backend.OutboxBackend"

# --- safety ---------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
# What pages of trusted origins may send and read. Their browsers send our cookie from the same site alone
# (SameSite=Lax): pages of other sites use keys.
CORS_ALLOWED_ORIGINS = list(_settings.trusted_origins)
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/(api|files)/"
CORS_ALLOW_HEADERS = [
    *default_headers,
    "idempotency-key",
    "if-match",
    "if-none-match",
    "prefer",
    "x-api-key",
    "x-request-id",
    "x-session-token",
]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-Id",
]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if _production and _https:
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = _settings.hsts_subdomains

# --- logs -----------------------------------------------------------------------------------------

LOGGING_CONFIG = "cutline.server.observability.logs.configure"
LOGGING = {
    "level": _settings.log_level,
    "format": _settings.log_format,
    "security_log": str(_settings.security_log or ""),
}
