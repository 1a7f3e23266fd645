"""What a look at the Redis servers finds where this very process stood still meanwhile."""

from __future__ import annotations

import time
from typing import cast

import pytest
from pytest_django import Settings

from realtime.health.redis_look import look_at
from shardlayer import ShardedChannelLayer

SERVER = "redis://here"


class DeafLayer:
    """A layer that hears its server again after some looks."""

    def __init__(self, looks: int, still: float) -> None:
        self._looks = looks
        self._still = still

    @property
    def unheard_servers(self) -> list[str]:
        self._looks -= 1
        return [SERVER] if self._looks >= 0 else []

    async def ping(self, within: float) -> dict[str, float]:
        time.sleep(self._still)  # noqa: ASYNC251 (it is to stand still)
        return {SERVER: 0.001}


@pytest.mark.parametrize("still", [0.0, 1.0])
async def test_server_that_is_heard_again_after_the_process_stood_still(
    settings: Settings, still: float
) -> None:
    """The time to be heard again is that in which this process goes on."""
    settings.REALTIME = {"CHECK_TIMEOUT": 0.5}
    layer = DeafLayer(looks=4, still=still)
    assert await look_at(cast(ShardedChannelLayer, layer)) == {SERVER: 1.0}
    deaf = DeafLayer(looks=1_000, still=still)
    [answer] = (await look_at(cast(ShardedChannelLayer, deaf))).values()
    assert "could not be heard for 0.5 s" in str(answer)
