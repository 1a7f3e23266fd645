"""The settings of REALTIME."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from realtime.conf import Conf, conf, known_keys, problems


def test_defaults_hold_without_the_setting(settings: Settings) -> None:
    """A project that sets nothing gets the defaults."""
    del settings.REALTIME
    assert conf() == Conf()


def test_values_are_read(settings: Settings) -> None:
    """What is set counts, and a change is seen at once."""
    settings.REALTIME = {"KAFKA_TOPICS": ["a"], "MAX_ROOMS_PER_CLIENT": 7}
    assert conf().kafka_topics == ("a",)
    assert conf().max_rooms_per_client == 7
    settings.REALTIME = {}
    assert conf().max_rooms_per_client == 100


def test_defaults_obey_their_own_rules() -> None:
    """Every default would be accepted if it were set."""
    values = {item.name.upper(): getattr(Conf(), item.name) for item in fields(Conf)}
    assert list(values) == known_keys()
    assert list(problems(values)) == []


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], ""),
        ({"CLIENT_PUBLISHES": []}, "CLIENT_PUBLISHES"),
        ({"client_publish": []}, "client_publish"),
        ({"CLIENT_PUBLISH": "chat.*"}, "CLIENT_PUBLISH"),
        ({"AUTHORIZE": print}, "AUTHORIZE"),
        ({"AUTHORIZE": "authorize"}, "AUTHORIZE"),
        ({"MAX_ROOMS_PER_CLIENT": -1}, "MAX_ROOMS_PER_CLIENT"),
        ({"MAX_ROOMS_PER_CLIENT": True}, "MAX_ROOMS_PER_CLIENT"),
        ({"MAX_CLIENT_MESSAGE": 1.5}, "MAX_CLIENT_MESSAGE"),
        ({"MAX_CLIENT_HISTORY": 0}, "MAX_CLIENT_HISTORY"),
        ({"USER_ROOM_PREFIX": ""}, "USER_ROOM_PREFIX"),
        ({"USER_ROOM_PREFIX": "user/"}, "USER_ROOM_PREFIX"),
        ({"USER_ROOM_PREFIX": "u" * 29}, "USER_ROOM_PREFIX"),
        ({"CHECK_TIMEOUT": -1}, "CHECK_TIMEOUT"),
        ({"KAFKA_TOPICS": []}, "KAFKA_TOPICS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a:9092"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_GROUP": ""}, "KAFKA_GROUP"),
        ({"KAFKA_AUTO_OFFSET_RESET": "first"}, "KAFKA_AUTO_OFFSET_RESET"),
        ({"KAFKA_OPTIONS": []}, "KAFKA_OPTIONS"),
    ],
)
def test_wrong_values_are_named(values: Any, key: str, settings: Settings) -> None:
    """A wrong key or value is named, and reading the settings raises."""
    [(found, sentence)] = problems(values)
    assert found == key
    assert (f"REALTIME[{key!r}]" if key else "REALTIME") in sentence
    settings.REALTIME = values
    with pytest.raises(ImproperlyConfigured, match="REALTIME"):
        conf()
