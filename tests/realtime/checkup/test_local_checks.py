"""What is said of settings, secrets, routing, origins, static files, limits and figures."""

from __future__ import annotations

import logging
import resource
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import call_command
from pytest_django import Settings

from realtime.checkup import djangos_runserver
from realtime.checkup.finding import CheckRequest, Level
from realtime.checkup.limits_check import check_limits
from realtime.checkup.metrics_check import check_metrics
from realtime.checkup.origin_check import check_origin
from realtime.checkup.routing_check import check_routing
from realtime.checkup.secrets_check import check_secrets
from realtime.checkup.settings_check import check_settings
from realtime.checkup.static_check import check_static
from realtime.client_script import CLIENT
from shardlayer.layer import layer_checks
from tests.realtime.checkup import own_applications
from tests.realtime.checkup.test_server_checks import texts
from tests.realtime.conftest import channel_layers

ASKED = CheckRequest(timeout=1.0)
ODD = "tests.realtime.checkup.odd_applications"
OWN = "tests.realtime.checkup.own_applications"
MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def test_settings_that_can_be_used(settings: Settings) -> None:
    """One line, with the versions."""
    settings.DEBUG = True
    [finding] = check_settings(ASKED)
    assert finding.level is Level.OK
    assert "Django" in finding.text


def test_settings_that_can_not(settings: Settings) -> None:
    """What our system checks say, but for servers, of which redis is asked."""
    settings.REALTIME = {"NODE_INTERVALL": 3}
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"])
    [finding] = check_settings(ASKED)
    assert finding.level is Level.FAULT
    assert "realtime.E001" in finding.text
    assert "NODE_INTERVAL" in finding.hint
    settings.SILENCED_SYSTEM_CHECKS = ["realtime.E001"]
    assert [each.level for each in check_settings(ASKED)] == [Level.OK]


def test_look_at_settings_asks_no_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked once, by the check of redis."""
    settings.DEBUG = True
    asked: list[object] = []
    monkeypatch.setattr(layer_checks, "_check_servers", asked.append)
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"])
    assert [each.level for each in check_settings(ASKED)] == [Level.OK]
    assert asked == []


def test_secrets(settings: Settings) -> None:
    """In production they are long, and none goes over a network that others share."""
    settings.DEBUG = True
    settings.SECRET_KEY = "django-insecure-short"
    assert [each.level for each in check_secrets(ASKED)] == [Level.OK]
    settings.DEBUG = False
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://10.0.0.1", "redis://:pw@10.0.0.2"])
    settings.REALTIME = {"KAFKA_SASL_MECHANISM": "PLAIN"}
    found = list(check_secrets(ASKED))
    faults, warnings = texts(found, Level.FAULT), texts(found, Level.WARNING)
    assert "SECRET_KEY" in faults
    assert "redis://10.0.0.1 is reached without a password" in warnings
    assert "10.0.0.2" not in warnings
    assert "login to Kafka" in warnings


def test_routing_of_the_demo(settings: Settings) -> None:
    """Everything is served; nobody is let in, and nothing is logged."""
    [finding] = check_routing(ASKED)
    assert finding.level is Level.OK, finding
    for place in ("/ws/ (VisitorConsumer)", "/health/", "/sse/", "/metrics"):
        assert place in finding.text


@pytest.mark.parametrize(
    ("name", "level", "says"),
    [
        ("plain", Level.FAULT, "fails at a WebSocket"),
        ("without_websocket", Level.FAULT, "fails at a WebSocket"),
        ("of_somebody_else", Level.FAULT, "does not lead a WebSocket"),
        ("failing", Level.FAULT, "a mistake"),
        ("behind_middleware", Level.OK, "/ws/ (OwnConsumer)"),
        ("behind_middleware", Level.WARNING, "does not handle lifespan"),
        ("missing", Level.FAULT, "can't be imported"),
    ],
)
@pytest.mark.django_db  # Channels' consumers look after the thread's connection, if there is one
def test_routing_elsewhere(settings: Settings, name: str, level: Level, says: str) -> None:
    """A consumer of the project's counts; somebody else's, and none, do not."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    settings.ASGI_APPLICATION = f"{ODD}.{name}"
    settings.ALLOWED_HOSTS = [".shop.example"]
    assert says in texts(list(check_routing(ASKED)), level)


@pytest.mark.parametrize(
    ("name", "says", "check"),
    [
        ("ours", "It is not known whether", "'origin'"),
        ("without_websocket", "fails at a WebSocket", "asgi.py"),
    ],
)
def test_routing_of_a_site_without_a_name(
    settings: Settings, name: str, says: str, check: str
) -> None:
    """Every handshake is refused, so nobody can say where it leads to: that is the fault."""
    settings.DEBUG = False
    settings.ASGI_APPLICATION = f"{OWN}.{name}"
    settings.ALLOWED_HOSTS = []
    [found] = [each for each in check_routing(ASKED) if each.level is Level.FAULT]
    assert says in found.text
    assert check in found.hint
    settings.DEBUG = True
    settings.ASGI_APPLICATION = f"{OWN}.ours"
    assert "serves /ws/" in texts(list(check_routing(ASKED)), Level.OK)


@pytest.mark.parametrize(
    ("debug", "app", "is_told"),
    [
        (True, "django.contrib.staticfiles", True),
        (True, "daphne", False),
        (False, "django.contrib.staticfiles", False),
    ],
)
def test_routing_of_runserver(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, debug: bool, app: str, is_told: bool
) -> None:
    """Django's own does not ask the application that is looked at here."""
    monkeypatch.setattr(djangos_runserver, "get_commands", lambda: {"runserver": app})
    settings.DEBUG = debug
    told = texts(list(check_routing(ASKED)), Level.OK)
    assert ("manage.py runserver serves no WebSocket" in told) is is_told


def test_probes_of_routing_are_not_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """What others log at the same time is."""
    settings.ASGI_APPLICATION = f"{OWN}.noisy"
    settings.ALLOWED_HOSTS = ["shop.example"]
    own_applications.meanwhile.clear()
    list(check_routing(ASKED))
    assert own_applications.meanwhile  # the probes came to Django, and something else was logged
    assert [record.getMessage() for record in caplog.records] == own_applications.meanwhile
    caplog.clear()
    logging.getLogger("django.request").warning("Not Found: /later")
    assert "Not Found: /later" in caplog.text


def test_origins(settings: Settings) -> None:
    """The site's own pages may connect; one can be asked for."""
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = []
    assert "is empty" in texts(list(check_origin(ASKED)), Level.FAULT)
    settings.ALLOWED_HOSTS = ["*"]
    assert "any site" in texts(list(check_origin(ASKED)), Level.WARNING)
    settings.ALLOWED_HOSTS = ["shop.example"]
    assert [each.level for each in check_origin(ASKED)] == [Level.OK]
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.pay.example", "https://shop.example"]
    [finding] = check_origin(ASKED)
    assert "https://*.pay.example may post forms" in finding.text
    for origin, level in (
        ("https://shop.example/", Level.OK),
        ("https://other.example", Level.FAULT),
        ("shop.example", Level.FAULT),
    ):
        [finding] = check_origin(CheckRequest(timeout=1.0, origin=origin))
        assert finding.level is level, finding


def test_static_files_of_development(settings: Settings) -> None:
    """Found where the package has them."""
    settings.DEBUG = True
    [finding] = check_static(ASKED)
    assert finding.level is Level.OK
    assert "realtime/client.iife.js" in finding.text


def test_static_files_of_production(settings: Settings, tmp_path: Path) -> None:
    """They have to be collected, and anew with each version."""
    settings.DEBUG = False
    settings.STATIC_ROOT = tmp_path / "static"
    assert "is not there" in texts(list(check_static(ASKED)), Level.FAULT)
    call_command("collectstatic", "--noinput", verbosity=0)
    assert [each.level for each in check_static(ASKED)] == [Level.OK]
    (tmp_path / "static" / CLIENT).write_text("old")
    assert "of another version" in texts(list(check_static(ASKED)), Level.WARNING)


def test_static_files_with_a_manifest(settings: Settings, tmp_path: Path) -> None:
    """Without the manifest a page would fail."""
    settings.DEBUG = False
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": MANIFEST}}
    [finding] = check_static(ASKED)
    assert finding.level is Level.FAULT
    assert "manifest" in finding.text
    assert "collectstatic" in finding.hint


def test_limit_on_open_files(settings: Settings) -> None:
    """Of this shell, against the connections that are meant."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    settings.REALTIME = {"WS_MAX_CONNECTIONS": 10}
    assert [each.level for each in check_limits(ASKED)] == [Level.OK]
    settings.REALTIME = {"WS_MAX_CONNECTIONS": hard + 1}
    assert f"{hard:,} files" in texts(list(check_limits(ASKED)), Level.WARNING)


def test_directory_of_figures(settings: Settings, tmp_path: Path) -> None:
    """Of this user alone; one that is not there yet is made by the first process, not here."""
    settings.REALTIME = {}
    assert "not set" in texts(list(check_metrics(ASKED)), Level.OK)
    for name in ("own", "shared"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "shared").chmod(0o777)
    for name, level in (("own", Level.OK), ("new", Level.OK), ("shared", Level.FAULT)):
        settings.REALTIME = {"METRICS_DIRECTORY": str(tmp_path / name)}
        [finding] = check_metrics(ASKED)
        assert finding.level is level, finding
    assert not (tmp_path / "new").exists()
