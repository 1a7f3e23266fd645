"""Having a worker drain, from any machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.conf import conf
from realtime.nodes.node_orders import drain_order
from realtime.operations.looking import anodes
from realtime.operations.node_status import NodeStatus
from realtime.rooms.room_names import NODES_ROOM
from realtime.sharded_layer import sharded_layer
from shardlayer import ConfigurationError, ScriptFailed, ShardLayerError

_IN_DOUBT = "the worker may or may not have been told to drain."

LOOK_PAUSE = 0.1  # seconds between two looks whether it drains


class CannotDrain(Exception):
    """The worker can't be told. The message says why, in a sentence."""


class DrainUnknown(CannotDrain):
    """Nobody knows whether the worker was told: Redis may have taken the order. It may drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainAnswer:
    """What became of an order.

    Attributes:
        node: Who was told, as it was before.
        is_draining: Whether it says that it drains, or has gone meanwhile. False: it was told, and
            has not said so yet.
    """

    node: NodeStatus
    is_draining: bool


async def adrain(node_id: str, *, by: str, using: str = DEFAULT_CHANNEL_LAYER) -> DrainAnswer:
    """Have a worker do as on SIGTERM: send its clients away, and end.

    Whoever supervises it starts it again. Whether the caller may do this is for the caller to see.

    Args:
        node_id: See `NodeStatus.id`.
        by: Who orders it, for the worker's log.
        using: The alias of the channel layer.

    Raises:
        CannotDrain: No worker of that id is known, it can't be reached so, or Redis refused the
            order.
        DrainUnknown: Redis did not answer in time; the worker may or may not have been told.
    """
    within = conf().check_timeout
    known = await anodes(using=using)
    if not known.is_known:
        raise CannotDrain(f"It is not known which workers there are. {known.why}")
    found = next((node for node in known.nodes if node.id == node_id), None)
    if found is None:
        raise CannotDrain(f"There is no process {node_id!r}; it may have ended.")
    if not found.can_drain:
        raise CannotDrain(
            f"{found.role} {found.host}:{found.pid} can't be drained from here: only a worker on "
            "shardlayer-daphne can. Stop it with its supervisor."
        )
    try:
        async with asyncio.timeout(within):
            await sharded_layer(using).publish_reserved(NODES_ROOM, drain_order(node_id, by))
    except TimeoutError:
        why = f"Redis did not answer within {within:g} s"
        raise DrainUnknown(f"{why}: {_IN_DOUBT}") from None
    except (ConfigurationError, ScriptFailed) as error:
        raise CannotDrain(str(error)) from error
    except ShardLayerError as error:
        raise DrainUnknown(f"{str(error).rstrip('.')}: {_IN_DOUBT}") from error
    return DrainAnswer(node=found, is_draining=await _drains(node_id, within, using))


drain = async_to_sync(adrain)


async def _drains(node_id: str, within: float, using: str) -> bool:
    """Wait until a worker says that it drains, or is gone; return whether that was in time."""
    try:
        async with asyncio.timeout(within):
            while True:
                known = await anodes(using=using)
                node = next((node for node in known.nodes if node.id == node_id), None)
                if known.is_known and (node is None or node.is_draining):
                    return True
                await asyncio.sleep(LOOK_PAUSE)
    except TimeoutError:
        return False
