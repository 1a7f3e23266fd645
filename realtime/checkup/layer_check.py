"""Whether a message goes through the layer and comes back: what no look at its parts can prove."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

from realtime.checkup.finding import CheckRequest, Finding, fault, ok
from realtime.management.figures_text import milliseconds
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer, ShardLayerError, ShardUnavailable

MESSAGE = {"type": "realtime.check"}


def check_layer(asked: CheckRequest) -> Iterator[Finding]:
    """Yield whether all servers fit the layer, and how long a message takes."""
    try:
        layer = sharded_layer()
    except TypeError as error:
        yield fault(
            str(error), "Name shardlayer's backend there: rooms need it. See docs/integrate.md."
        )
        return
    except Exception:  # whatever a BACKEND's import raises
        yield fault("The layer can't be made.", "Fix what the check 'settings' reports first.")
        return
    yield from asyncio.run(_through(layer, asked))


async def _through(layer: ShardedChannelLayer, asked: CheckRequest) -> list[Finding]:
    layer.use_running_loop()
    try:
        answers = await layer.ping(asked.timeout)
        if any(isinstance(answer, ShardUnavailable) for answer in answers.values()):
            return [
                fault(
                    "No message was sent through the layer: not all of its servers answer.",
                    "Fix what the check 'redis' reports first.",
                )
            ]
        async with asyncio.timeout(asked.timeout * len(answers) * 3):
            seconds = await _round_trip(layer)
    except TimeoutError:
        return [
            fault(
                "A message that was sent through the layer did not come back.",
                "Allow the user in 'hosts' SPUBLISH and SSUBSCRIBE on the layer's channels.",
            )
        ]
    except ShardLayerError as error:
        return [fault(str(error), "See docs/troubleshooting.md.")]
    finally:
        await layer.close()
    shards = layer.options.shards
    return [
        ok(f"A message went to a group and came back in {milliseconds(seconds)}; {shards} shards.")
    ]


async def _round_trip(layer: ShardedChannelLayer) -> float:
    """Return the seconds from sending to a group until its member has the message."""
    channel = await layer.new_channel()
    group = f"realtime.check.{uuid4().hex}"
    await layer.group_add(group, channel)
    try:
        began = time.perf_counter()
        await layer.group_send(group, MESSAGE)
        await layer.receive(channel)
        return time.perf_counter() - began
    finally:
        await layer.group_discard(group, channel)
