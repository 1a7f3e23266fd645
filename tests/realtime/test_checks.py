"""The system checks name the setting that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from realtime.checks import check_default_layer, check_realtime, check_runserver
from realtime.checkup import djangos_runserver
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from shardlayer.layer.layer_checks import check_channel_layers
from tests.realtime.conftest import channel_layers
from tests.realtime.process import Process


def realtime_findings(settings: Settings, values: Any) -> list[tuple[str | None, str]]:
    """Return ids and texts, hints included, of what the check of REALTIME finds."""
    settings.REALTIME = values
    return texts(check_realtime(None))


def texts(found: list[CheckMessage]) -> list[tuple[str | None, str]]:
    """Return ids and texts of messages."""
    return [(item.id, f"{item.msg} {item.hint}") for item in found]


def test_good_settings_are_not_found_fault_with(settings: Settings) -> None:
    """Right settings give no message."""
    values = {"CLIENT_PUBLISH": ["a"], "AUTHORIZE": "tests.realtime.test_consumers.no_secrets"}
    assert realtime_findings(settings, values) == []


@pytest.mark.parametrize(
    ("values", "id", "words"),
    [
        ({"MAX_ROOM_PER_CLIENT": 5}, "realtime.E001", "Did you mean 'MAX_ROOMS_PER_CLIENT'?"),
        ({"QQQ": 5}, "realtime.E001", "CLIENT_PUBLISH"),
        ("x", "realtime.E001", "dictionary"),
        ({"MAX_ROOMS_PER_CLIENT": "5"}, "realtime.E002", "Its default is 100."),
        ({"AUTHORIZE": "nowhere.at.all"}, "realtime.E003", "REALTIME['AUTHORIZE']"),
        ({"PRESENCE_INFO": "nowhere.at.all"}, "realtime.E003", "REALTIME['PRESENCE_INFO']"),
        ({"PRESENCE_FETCH": "nowhere.at.all"}, "realtime.E003", "REALTIME['PRESENCE_FETCH']"),
        ({"MAX_PRESENCE_INFO": 5_000}, "realtime.E002", "4,096"),
        ({"ROOMS": {"*": {"publsh": "staff"}}}, "realtime.E002", "Its default is {'*': {}}."),
        (
            {"ROOMS": {"*": {"presence_events": "yes"}}},
            "realtime.E002",
            "['presence_events'] must be True or False",
        ),
        (
            {"KAFKA_ROUTE": "realtime.kafka.routing.nope"},
            "realtime.E003",
            "KAFKA_ROUTE",
        ),
        ({"KAFKA_ROUTE": "tests.realtime.access.bad_rules.may"}, "realtime.E003", "ValueError"),
        ({"KAFKA_ROUTE": f"{__name__}.__doc__"}, "realtime.E005", "no function"),
    ],
)
def test_realtime_errors(settings: Settings, values: Any, id: str, words: str) -> None:
    """Each wrong setting of REALTIME is an error with a way out."""
    [(found, text)] = realtime_findings(settings, values)
    assert found == id
    assert words in text


def test_error_in_rooms_is_told_once(settings: Settings) -> None:
    """The layer asks ROOMS for its histories, but CONFIG is not called wrong for what is there."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://checks"])
    assert realtime_findings(settings, {"ROOM": {}}) != []
    assert check_channel_layers(None) == []
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://checks"], shards=0)
    [(found, text)] = texts(check_channel_layers(None))
    assert found == "shardlayer.E001"
    assert "shards" in text


def test_missing_default_layer(settings: Settings) -> None:
    """Without a default layer no room works, and it is said."""
    settings.CHANNEL_LAYERS = {}
    [(found, text)] = texts(check_default_layer(None))
    assert found == "realtime.E004"
    assert "no 'default'" in text
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://checks"])
    assert check_default_layer(None) == []


def test_default_layer_of_another_package(settings: Settings) -> None:
    """A worker would fail at each client: the check says what it would say."""
    other = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    ours = channel_layers(hosts=["memory://checks"])["default"]
    settings.CHANNEL_LAYERS = {"default": other, "rooms": ours}
    [found] = check_default_layer(None)
    with pytest.raises(TypeError) as refused:
        sharded_layer()
    assert found.id == "realtime.E004"
    assert found.msg == str(refused.value)
    assert "channel_layer_alias" in str(found.hint)


def test_other_layers_beside_ours_are_let_alone(settings: Settings) -> None:
    """The rooms are those of the default layer; a subclass of ours is ours."""
    other = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    subclass = {"BACKEND": f"{__name__}.OwnLayer"}
    settings.CHANNEL_LAYERS = {"default": subclass, "other": other}
    assert check_default_layer(None) == []


class OwnLayer(ShardedChannelLayer):
    """A project's own."""


@pytest.mark.parametrize(
    "layer",
    [5, {}, {"BACKEND": 5}, {"BACKEND": "no.such.Layer"}, {"BACKEND": f"{__name__}.texts"}],
)
def test_layer_that_can_not_be_loaded_is_told_once(settings: Settings, layer: Any) -> None:
    """By shardlayer.E001."""
    settings.CHANNEL_LAYERS = {"default": layer}
    assert check_default_layer(None) == []
    assert [found for found, _ in texts(check_channel_layers(None))] == ["shardlayer.E001"]


@pytest.mark.parametrize(
    ("app", "command", "found"),
    [
        ("django.core", "runserver", ["realtime.W006"]),
        ("django.contrib.staticfiles", "runserver", ["realtime.W006"]),
        ("daphne", "runserver", []),
        ("django.core", "migrate", []),
        ("django.core", "check", []),
    ],
)
def test_runserver_without_websockets(
    monkeypatch: pytest.MonkeyPatch, app: str, command: str, found: list[str]
) -> None:
    """Whoever starts Django's own is warned, and nobody else is."""
    monkeypatch.setattr(djangos_runserver, "get_commands", lambda: {"runserver": app})
    monkeypatch.setattr(sys, "argv", ["manage.py", command])
    assert [id for id, _ in texts(check_runserver(None))] == found


def test_runserver_of_a_project_without_daphne(tmp_path: Path) -> None:
    """It says so as it starts; with Daphne's it does not."""
    for apps, says in (("", True), ("daphne", False)):
        process = Process(
            [sys.executable, "-m", "django", "runserver", "--noreload", "127.0.0.1:0"],
            log=tmp_path / f"log{apps}",
            DJANGO_SETTINGS_MODULE="tests.realtime.runserver_settings",
            APPS=apps,
        )
        with process:
            process.says("Starting ")
            assert ("(realtime.W006)" in process.output()) is says, process.output()
