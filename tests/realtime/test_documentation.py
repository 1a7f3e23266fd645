"""docs/settings.md names every setting, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from config import settings as project
from realtime import checks
from realtime.access import jwt_checks, room_checks
from realtime.clients.client_counters import ClientCounters
from realtime.conf import known_keys
from realtime.rooms.room_settings import ROOM_KEYS
from shardlayer import LayerOptions
from shardlayer.layer import layer_checks

DOCUMENT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()


def names(section: str) -> set[str]:
    """Return what the first column of a section's table names."""
    text = DOCUMENT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    columns = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    return {name for column in columns for name in re.findall(r"`(.*?)`", column)}


def test_layer_options() -> None:
    """The keys of CONFIG."""
    assert names("`CHANNEL_LAYERS`") == {item.name for item in fields(LayerOptions)}


def test_realtime() -> None:
    """The keys of REALTIME."""
    assert names("`REALTIME`") == set(known_keys())


def test_rooms() -> None:
    """The keys of a glob in ROOMS."""
    assert names("`ROOMS`") == set(ROOM_KEYS)


def test_checks() -> None:
    """The ids of the system checks, here and in the tables of their modules."""
    raised = set()
    for module in (checks, jwt_checks, room_checks, layer_checks):
        source = Path(str(module.__file__)).read_text()
        own = set(re.findall(r'id="(\w+\.[EW]\d+)"', source))
        assert set(re.findall(r"^\| (\w+\.[EW]\d+) \|", source, re.MULTILINE)) == own
        raised |= own
    assert names("System checks") == raised


def test_counters() -> None:
    """What is counted of clients' limits."""
    text = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    rows = text.partition("## What clients' limits did\n")[2].partition("\n## ")[0]
    columns = re.findall(r"^\| (`.*?`) \|", rows, re.MULTILINE)
    named = {name for column in columns for name in re.findall(r"`(.*?)`", column)}
    assert named == {item.name for item in fields(ClientCounters)}


def test_environment() -> None:
    """The environment's variables, here and in the settings' own table."""
    own = str(project.__doc__)
    named = names("The demo project's environment")
    rows = re.findall(r"^\| ([A-Z_, ]+) \|", own, re.MULTILINE)
    variables = {name for row in rows for name in row.split(", ")}
    assert named == variables | {"SHARDLAYER_WORKER", "SHARDLAYER_WORKERS"}


def test_files_of_the_pool() -> None:
    """docs/kafka.md says of each file of the pool what it does."""
    folder = Path(__file__).parents[2] / "realtime" / "kafka"
    text = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", text.partition("## Where it is\n")[2], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+\.py)`", row)}
    assert named == {path.name for path in folder.rglob("*.py")} - {"__init__.py"}
