"""Who is in a group of Channels, or a room: its nodes are asked when somebody wants to know."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Set

from shardlayer.aio.loop_delay import LoopDelay
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Backend
from shardlayer.channels.group_census import (
    NAMES,
    NUMBER,
    SINKS,
    names_in,
    new_question,
    number_in,
)
from shardlayer.core.types import NodeId
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines

logger = logging.getLogger(__name__)

FIRST_LOOK = 0.002  # seconds after a question; twice as long after each look
LAST_PAUSE = 0.05  # seconds between two looks, at most
ANSWER_TIMEOUT = 1.0  # seconds that a node has to answer

_complain = ThrottledLog(logger, logging.WARNING)


class LayerGroups:
    """Reads who is in groups, from any event loop and thread of the process."""

    shard_of: Callable[[str], int]
    require_valid_group_name: Callable[[str], bool]  # of Channels; raises TypeError
    _engines: Engines

    async def group_members(self, group: str) -> list[str]:
        """Return the names of the channels in a group, on all nodes, in the order of the alphabet.

        Each node is asked, so they are those that a `group_send` would reach now. A node that is
        gone is left out, and so is one that does not answer within a second, which is logged.
        Clients in a room are no channels: see `presence`.

        Raises:
            TypeError: If the name is not valid.
            ShardUnavailable: If the group's server can't be reached.
        """
        channels, answers, _ = await self._ask(group, NAMES, ANSWER_TIMEOUT)
        return sorted({*channels, *names_in(answers.values())})

    async def group_size(self, group: str) -> int:
        """Return how many channels are in a group, on all nodes. Asks and raises the same."""
        channels, answers, _ = await self._ask(group, NUMBER, ANSWER_TIMEOUT)
        return len(channels) + number_in(answers.values())

    async def room_answers(
        self, room: str, *, within: float = ANSWER_TIMEOUT
    ) -> Mapping[NodeId, bytes | None]:
        """Ask the nodes that have members of a room about them; return what each answered.

        The answers are what `Node.describe` returns there. There is none from a node that did not
        answer within so many seconds, or has nothing to say. A node that can't hear the question
        is left out.

        Raises:
            TypeError: If the name is not valid.
            ShardUnavailable: If the room's server can't be reached.
        """
        _, answers, missing = await self._ask(room, SINKS, within)
        return {node: answer or None for node, answer in answers.items()} | dict.fromkeys(missing)

    async def _ask(
        self, group: str, kind: bytes, within: float
    ) -> tuple[list[str], dict[NodeId, bytes], set[NodeId]]:
        """Return the normal channels, the answers, and the nodes that have not answered."""
        self.require_valid_group_name(group)
        shard, question = self.shard_of(group), new_question(kind)

        async def work(engine: Engine) -> tuple[list[str], dict[NodeId, bytes], set[NodeId]]:
            backend = engine.backend
            asked = await backend.census(shard, group, question)
            nodes = set(asked.nodes)
            for _ in range(2):  # again if this process stood still, and with it the machine perhaps
                with LoopDelay() as delay:
                    answers = await _answers(backend, shard, question, nodes, within)
                missing = nodes - answers.keys()
                if not missing or not delay.is_most():
                    break
            if missing:
                _complain("Nodes did not answer who is in the group %s: %s", group, missing)
            return asked.channels, answers, missing

        return await self._engines.run(work)


async def _answers(
    backend: Backend, shard: int, question: bytes, nodes: Set[NodeId], within: float
) -> dict[NodeId, bytes]:
    """Return what has been answered once all nodes did, or after so many seconds."""
    loop = asyncio.get_running_loop()
    answers: dict[NodeId, bytes] = {}
    ends, pause, is_last = loop.time() + within, FIRST_LOOK, False
    while nodes - answers.keys() and not is_last:
        await asyncio.sleep(pause)
        is_last = loop.time() >= ends  # a look from now on is late enough
        answers = await backend.census_answers(shard, question)
        pause = min(2 * pause, LAST_PAUSE)
    return answers
