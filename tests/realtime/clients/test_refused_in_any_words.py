"""A project refuses a client in words that are no string yet: the client is told all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.utils.translation import gettext_lazy
from pytest_django import Settings

from realtime import ClientRefused
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client

WORDS: dict[str, Any] = {"lazy": gettext_lazy("Rooms"), "number": 7, "none": None}


def refuse(user: Any, room: str, data: Any, claims: Mapping[str, Any]) -> Any:
    """Refuse in the words that the client asks for."""
    raise ClientRefused(WORDS[data])


@pytest.mark.parametrize(("data", "said"), [("lazy", "Rooms"), ("number", "7"), ("none", "None")])
async def test_words_are_made_text(
    settings: Settings, memory_layer: ShardedChannelLayer, data: str, said: str
) -> None:
    """The connection goes on behind it."""
    settings.REALTIME = {
        "ROOMS": {"*": {"subscribe": "anyone", "publish": "anyone"}},
        "ON_CLIENT_PUBLISH": f"{__name__}.refuse",
    }
    async with Client() as client:
        answer = await client.ask(1, publish={"room": "general", "data": data})
        assert answer == {"id": 1, "error": {"code": "refused", "message": said}}
        assert await client.ask(2, ping={}) == {"id": 2, "pong": {}}
