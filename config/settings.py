"""The demo project's settings. Everything that differs between machines comes from the environment.

| variable | default | meaning |
|---|---|---|
| DJANGO_DEBUG | 1 | development; 0 asks for secrets of your own, and turns security settings on |
| DJANGO_SECRET_KEY | (only with DEBUG) | signs sessions and tokens |
| DJANGO_ALLOWED_HOSTS | this machine | host names, comma separated; also the WebSockets' origins |
| DJANGO_CSRF_TRUSTED_ORIGINS | | origins behind a TLS proxy, comma separated |
| DJANGO_HTTPS | 0 with DEBUG, else 1 | cookies only over https, HSTS |
| DJANGO_SERVE_STATIC | 1 with DEBUG, else 0 | the workers serve the static files themselves |
| HEALTH_KEY | | opens /metrics and the details of /health to others than this machine |
| METRICS_DIRECTORY | var/metrics | where all processes of this machine keep their figures |
| DATABASE_URL | SQLite in var/ | a dj-database-url address |
| REDIS_URL | redis://127.0.0.1:6379 | one Redis or Valkey server or more, comma separated |
| REDIS_CLUSTER | 0 | 1: these are nodes of a Redis Cluster |
| REDIS_SENTINELS | | in place of REDIS_URL: who names the primary, host:port, comma separated |
| REDIS_PRIMARY, REDIS_PASSWORD | shards, | its name there; the password of primary and Sentinels |
| REDIS_WAIT_REPLICAS | 0 | replicas that must have a publication before it is acknowledged |
| KAFKA_BOOTSTRAP_SERVERS | 127.0.0.1:9092 | host:port, comma separated |
| KAFKA_SESSION_TIMEOUT_MS | 10000 | ms until the group gives up a consumer that fell silent |
| WS_MAX_CONNECTIONS | 12000 | connections of all workers behind the balancer; 0: any number |
| SHARDLAYER_WORKER | worker-1 | this worker's name on the demo page |
| SHARDLAYER_WORKERS | | all workers, as name=address, comma separated |
| LOG_LEVEL | INFO | of shardlayer, realtime and the demo |
| SHARDLAYER_DEMO | 1 | 0: addresses that are not set are not those of the `bin/dev` that runs |
| LOG_JSON | 0 | 1: log lines are JSON, and tell who was refused and closed |
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from config.environment import count, flag, listed, named, require_secret, whole
from config.redis import redis_config
from demo.devserver.running_demo import with_running_demo
from demo.embedded.private import make_private_folder
from realtime.metrics.django_figures import share_django_figures

BASE_DIR = Path(__file__).resolve().parent.parent
_env = with_running_demo(os.environ, BASE_DIR / "var")

# --- Security ---------------------------------------------------------------------------------
DEBUG = flag(_env, "DJANGO_DEBUG", default=True)
_FOR_DEVELOPMENT = "for development only: whoever reads this file can forge sessions"
SECRET_KEY = _env.get("DJANGO_SECRET_KEY", "") or (_FOR_DEVELOPMENT if DEBUG else "")
if not DEBUG:
    require_secret(
        SECRET_KEY,
        "DJANGO_SECRET_KEY",
        published={_FOR_DEVELOPMENT, "change me before anybody else can reach this"},
        shortest=32,
    )

ALLOWED_HOSTS = listed(
    _env,
    "DJANGO_ALLOWED_HOSTS",
    default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [],
)
CSRF_TRUSTED_ORIGINS = listed(_env, "DJANGO_CSRF_TRUSTED_ORIGINS", default=[])

_HTTPS = flag(_env, "DJANGO_HTTPS", default=not DEBUG)
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if _HTTPS else 0  # 30 days
X_FRAME_OPTIONS = "DENY"

# --- Application ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "demo",  # before staticfiles, whose runserver it replaces
    "realtime",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English"), ("de", "German")]  # those that the page and the admin speak
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
SERVE_STATIC = flag(_env, "DJANGO_SERVE_STATIC", default=DEBUG)

# --- Database ---------------------------------------------------------------------------------
if _env.get("DATABASE_URL"):
    import dj_database_url

    DATABASES: dict[str, Any] = {"default": dj_database_url.parse(_env["DATABASE_URL"])}
    if not DEBUG and (_password := DATABASES["default"].get("PASSWORD")):
        require_secret(
            _password, "The password in DATABASE_URL", published={"shardlayer"}, shortest=1
        )
else:
    _var = BASE_DIR / "var"
    make_private_folder(_var)  # SQLite makes its file, but not the folder
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": _var / "db.sqlite3"}}

# --- Realtime ---------------------------------------------------------------------------------
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": redis_config(_env),
    },
}
_session_timeout = whole(_env, "KAFKA_SESSION_TIMEOUT_MS", default=10_000)  # milliseconds
METRICS_DIRECTORY = Path(_env.get("METRICS_DIRECTORY") or BASE_DIR / "var" / "metrics")
share_django_figures(METRICS_DIRECTORY)
REALTIME: dict[str, Any] = {
    "WS_MAX_CONNECTIONS": count(_env, "WS_MAX_CONNECTIONS", default=12_000),
    "METRICS_DIRECTORY": str(METRICS_DIRECTORY),
    "HEALTH_KEY": _env.get("HEALTH_KEY", ""),
    # What everybody may do here who finds the page, signed in or not.
    "ROOMS": {
        "machine.*": {"subscribe": "anyone"},
        "chat.*": {
            "subscribe": "anyone",
            "publish": "anyone",
            "presence": "anyone",
            "presence_events": True,
        },
        "*": {"subscribe": "signed_in"},
    },
    "PRESENCE_INFO": "demo.consumers.presence_info",
    "KAFKA_BOOTSTRAP_SERVERS": listed(_env, "KAFKA_BOOTSTRAP_SERVERS", default=["127.0.0.1:9092"]),
    # A real broker takes 6000 at least; the embedded one lets a consumer wait half of it to join.
    "KAFKA_CONSUMER_OPTIONS": {
        "session_timeout_ms": _session_timeout,
        "heartbeat_interval_ms": _session_timeout // 3,
    },
}

# --- Demo -------------------------------------------------------------------------------------
DEMO: dict[str, Any] = {
    "WORKER": _env.get("SHARDLAYER_WORKER") or "worker-1",  # this worker's name
    "WORKERS": named(_env, "SHARDLAYER_WORKERS"),  # name -> address of every worker
}

# --- Logging ----------------------------------------------------------------------------------
_LEVEL = _env.get("LOG_LEVEL") or "INFO"
_JSON = flag(_env, "LOG_JSON", default=False)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "shardlayer.core.json_formatter.JsonFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json" if _JSON else "line"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "shardlayer": {"level": _LEVEL},
        "shardlayer.events": {"level": "INFO" if _JSON else "WARNING"},  # a line for each client
        "realtime": {"level": _LEVEL},
        "demo": {"level": _LEVEL},
        "daphne": {"level": _LEVEL},
        "django": {"handlers": [], "level": _LEVEL},  # through the root's handler, once
        # An error with its traceback for each request whose Host strangers made up.
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
    },
}
