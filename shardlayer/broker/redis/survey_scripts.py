"""The call that looks at many groups at once, and its reply. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from shardlayer.broker.redis.calls import Call, read_meta
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.scripts import script
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import RoomSummary

FIELDS = 5  # of the reply, for each group


def survey(keys: ShardKeys, groups: Sequence[str]) -> Call:
    """Return the call that says who is in groups and where they stand."""
    of_groups = (
        (keys.nodes(group), keys.meta(group), keys.history(group), keys.people(group))
        for group in groups
    )
    return Call(script("survey"), [keys.alive, *chain.from_iterable(of_groups)], [])


def read_survey(
    groups: Sequence[str], reply: Sequence[Any], *, shard: int, options: LayerOptions
) -> list[RoomSummary]:
    """Return what the survey script answered."""
    found = []
    for number, group in enumerate(groups):
        members, nodes, meta, people, left = reply[number * FIELDS : (number + 1) * FIELDS]
        position = read_meta(meta)
        idle = None
        if left >= 0:  # each publication sets it anew
            idle = max(options.policy_of(group).ttl - left / 1_000, 0.0)
        found.append(
            RoomSummary(
                room=group,
                shard=shard,
                members=members,
                nodes=nodes,
                people=people,
                offset=position.offset,
                epoch=position.epoch,
                idle=idle,
            )
        )
    return found
