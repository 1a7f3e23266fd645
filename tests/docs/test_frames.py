"""The frames of the protocol that the docs show: a real session takes and sends such."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime import apublish
from realtime.clients.protocol.parsing import parse
from realtime.room_tokens import sign_room
from realtime.testing import RealtimeCommunicator, memory_rooms
from realtime.tokens import issue_token
from tests.docs.blocks import ROOT, Block
from tests.docs.ways import blocks_by

EPOCH = "k3xw91ab"  # that of the examples
PUSHES = "".join(
    path.read_text()
    for folder in (
        "realtime/clients",
        "realtime/rooms",
        "realtime/presence",
        "shardlayer/delivery",
        "shardlayer/core",
    )
    for path in sorted((ROOT / folder).rglob("*.py"))
)


def frames_of(code: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the frames of a block with their direction: → to the server, ← or nothing from it.

    `…` stands for what is left out: a value, an object's fields, more of a list.
    """
    found: list[list[str]] = []
    for line in code.splitlines():
        if line.startswith(("→ ", "← ")):
            found.append([line[0], line[2:]])
        elif line.startswith("{"):
            found.append(["←", line])
        else:
            found[-1][1] += line.strip()
    return [(arrow, json.loads(_whole(text))) for arrow, text in found]


def _whole(text: str) -> str:
    """Return a frame as JSON: what `…` leaves out, outside of strings, is not there."""
    parts = re.split(r'("[^"]*")', text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"\{…\}", "{}", parts[at])
        parts[at] = re.sub(r",\s*…", "", parts[at])
        parts[at] = parts[at].replace("…", "null")
    return "".join(parts)


def lacking(shown: Any, real: Any, path: str = "") -> list[str]:
    """Return which fields the docs show, and what was really sent has not."""
    if isinstance(shown, dict):
        if not isinstance(real, dict):
            return [path]
        return [
            lack
            for key, value in shown.items()
            for lack in (
                lacking(value, real[key], f"{path}.{key}") if key in real else [f"{path}.{key}"]
            )
        ]
    if isinstance(shown, list) and shown and isinstance(real, list) and real:
        return lacking(shown[0], real[0], f"{path}[]")
    return []


def test_field_that_is_not_there_is_found_out() -> None:
    """At any depth."""
    assert lacking({"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 3}]}) == []
    assert lacking({"a": [{"b": 1}], "d": 1}, {"a": [{"c": 3}]}) == [".a[].b", ".d"]


@pytest.mark.parametrize("block", blocks_by("frames"), ids=lambda block: block.place)
def test_frames_are_json(block: Block) -> None:
    """What clients send, the server can read; what the server sends has words that it uses."""
    frames = frames_of(block.code)
    assert frames
    for arrow, frame in frames:
        if arrow == "→":
            parse(json.dumps(frame), limit=65_536, rooms=10)
        elif "id" not in frame and block.page in ("protocol.md", "presence.md"):
            for word in frame:
                assert re.search(rf'["{{]{word}["\\:]', PUSHES), f"nothing writes {word}"


def info(user: User, room: str, claims: dict[str, Any]) -> dict[str, str]:
    """Say what others see of a client."""
    return {"name": user.get_username()}


def fetch(keys: list[str]) -> dict[str, dict[str, str]]:
    """Say what is known of users."""
    return {key: {"city": "London"} for key in keys}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "block",
    [block for block in blocks_by("frames") if "→" in block.code and "←" in block.code],
    ids=lambda block: block.place,
)
async def test_replies_have_what_is_shown(block: Block, settings: Settings) -> None:
    """A session answers each command with the fields that the docs show."""
    open_room = {"subscribe": "anyone", "publish": "anyone", "presence": "anyone"}
    settings.REALTIME = {
        "ROOMS": {"*": open_room},
        "PRESENCE_INFO": f"{__name__}.info",
        "PRESENCE_FETCH": f"{__name__}.fetch",
    }
    settings.ASGI_APPLICATION = None
    ada = await User.objects.acreate(username="ada")
    with memory_rooms():
        for _ in range(43):
            position = await apublish("general", {"text": "…"})
        assert position is not None
        secrets = {"token": issue_token(ada), "note": ""}
        async with RealtimeCommunicator(user=ada) as page:
            await page.subscribe("chat.lobby")
            if '"unsubscribe"' in block.code:
                await page.subscribe("general")
            secrets["note"] = (await page.ask(note={}))["note"]["note"]
            for arrow, frame in frames_of(block.code):
                if arrow == "→":
                    (command,) = frame.keys() - {"id"}
                    body = json.dumps(frame[command]).replace(EPOCH, position.epoch)
                    asked = json.loads(body)
                    if command == "connect":
                        asked = {name: secrets[name] for name in asked}
                    answer = await page.ask(**{command: asked})
                elif "id" in frame:
                    assert not lacking(_without_errors(frame), answer)


def _without_errors(frame: dict[str, Any]) -> dict[str, Any]:
    """Return a reply without the rooms that it refuses: in the test all rooms are open."""
    return {
        key: [one for one in value if "error" not in one] if isinstance(value, list) else value
        for key, value in frame.items()
    }


@pytest.mark.parametrize("block", blocks_by("event stream"), ids=lambda block: block.place)
def test_event_stream_is_one(block: Block) -> None:
    """Fields of Server-Sent Events, whose data are frames."""
    for line in block.code.splitlines():
        field, _, value = line.partition(":")
        assert field in ("", "id", "event", "data", "retry"), line
        if field == "data":
            assert isinstance(json.loads(_whole(value)), dict)


def test_token_of_the_example_has_the_form_of_one() -> None:
    """A room's token has as many parts as the one that the docs show."""
    (shown,) = re.findall(r'"token":"(\d+\..*?)"', (ROOT / "docs" / "protocol.md").read_text())
    assert shown.count(".") == sign_room("orders").count(".")
