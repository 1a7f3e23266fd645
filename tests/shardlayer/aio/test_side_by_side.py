"""Calls of which one that fails stops no other."""

from __future__ import annotations

import pytest

from shardlayer.aio.side_by_side import side_by_side
from shardlayer.core.exceptions import ShardUnavailable


async def test_error_of_a_shard_stands_where_its_answer_would() -> None:
    """All others have answered."""
    away = ShardUnavailable(shard=1, server="here", reason="it is away")

    async def call(number: int) -> int:
        if number == 1:
            raise away
        return number

    assert await side_by_side(call(number) for number in range(3)) == [0, away, 2]


async def test_other_errors_are_raised() -> None:
    """They are no shard's fault."""

    async def fail() -> None:
        raise ValueError("what is that?")

    with pytest.raises(ValueError, match="what is that"):
        await side_by_side([fail()])
