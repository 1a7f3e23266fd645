"""What fails because of a client is logged once in a while, however often it fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pytest_django import Settings

from realtime.clients import failures
from realtime.people import client_presence
from shardlayer import ErrorLog, ShardedChannelLayer
from tests.realtime.client import Client

HERE = __name__
TIMES = 100


async def reads_a_number(user: Any, room: str, claims: object) -> bool:
    """Let in whoever names a room with a number, as a careless rule does."""
    return int(room.removeprefix("orders.")) > 0


def broken_info(user: Any, room: str, claims: object) -> None:
    """Fail, as a database that is away does."""
    raise ConnectionError("no database")


@pytest.fixture(autouse=True)
def fresh_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs to which no earlier test has told anything."""
    for module in (failures, client_presence):
        log = ErrorLog(logging.getLogger(module.__name__))
        monkeypatch.setattr(module, "log_failure", log)


async def test_rule_that_raises(
    memory_layer: ShardedChannelLayer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that asks a hundred times is answered a hundred times, and the log has one line."""
    settings.REALTIME = {
        "ROOMS": {"*": {"subscribe": f"{HERE}.reads_a_number"}},
        "MAX_CLIENT_COMMANDS": 0,
    }
    async with Client() as client:
        for number in range(1, TIMES + 1):
            answer = await client.ask(number, subscribe={"room": "orders.x"})
            assert answer["error"]["code"] == "internal"
    assert caplog.messages == ["A client's command failed."]
    assert "ValueError: invalid literal" in caplog.text


async def test_info_that_can_not_be_had(
    memory_layer: ShardedChannelLayer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients that come and go are shown without it, and the log has one line."""
    settings.REALTIME = {
        "ROOMS": {"*": {"subscribe": "anyone", "presence": "anyone"}},
        "PRESENCE_INFO": f"{HERE}.broken_info",
        "MAX_CLIENT_COMMANDS": 0,
    }
    async with Client() as client:
        for number in range(1, 2 * TIMES, 2):
            assert "subscribed" in await client.ask(number, subscribe={"room": "lobby"})
            assert "unsubscribed" in await client.ask(number + 1, unsubscribe={"room": "lobby"})
    said = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert said == ["PRESENCE_INFO failed: a client in lobby is shown without info."]
