"""Calls to several shards at once: one that fails does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from shardlayer.core.exceptions import ShardLayerError

Result = TypeVar("Result")


async def side_by_side(calls: Iterable[Awaitable[Result]]) -> list[Result | ShardLayerError]:
    """Run calls together; return for each, in order, its result or its ShardLayerError.

    Raises:
        BaseException: What a call raised that is no ShardLayerError, when all have ended.
    """
    answers = await asyncio.gather(*calls, return_exceptions=True)
    known: list[Result | ShardLayerError] = []
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ShardLayerError):
            raise answer
        known.append(answer)
    return known
