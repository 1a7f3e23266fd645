"""Finds and removes keys that hold what the layer never put there. No I/O.

Redis names no key in its error, so each key of what failed is looked at. Keys of a wrong
type are removed, and so are keys that are wrong without them. If a value has the right type but
says something impossible, the scripts themselves ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError, ResponseError

from shardlayer.broker.redis.calls import Argument, Call
from shardlayer.broker.redis.keys import ShardKeys, kind_of, name_of, tag_of
from shardlayer.broker.redis.scripts import script
from shardlayer.core import wire


class RefusedByServer(Exception):
    """A server refused for what a key holds: see `is_about_data`."""


class _Kind(NamedTuple):
    """What keys of one kind hold, and what has to be done when one is removed (see mend.lua)."""

    type: str
    consequence: str = ""


_KINDS: Mapping[str, _Kind] = {
    "alive": _Kind("zset", "distrust"),
    "nodes": _Kind("hash", "distrust"),
    "marks": _Kind("hash"),
    "history": _Kind("stream", "forget"),
    "queue": _Kind("list"),
    "waiting": _Kind("zset", "wake"),
    "held": _Kind("string"),
    "census": _Kind("hash"),
    "orders": _Kind("zset"),
    "present": _Kind("hash"),
    "here": _Kind("zset", "announce"),
    "people": _Kind("hash", "announce"),
    "reports": _Kind("hash"),
    "reported": _Kind("zset"),
    "totals": _Kind("hash"),
}


def is_about_data(error: RedisError) -> bool:
    """Tell whether a server refuses for what a key holds, or a script failed: no time mends that.

    What it refuses to everybody (its memory is full, it is a replica) has a code of its own.
    """
    if type(error) is not ResponseError:  # redis-py makes its subclasses of the codes it knows
        return False
    text = str(error)
    return text.startswith("WRONGTYPE ") or (error.status_code == "ERR" and "user_script" in text)


def mend(keys: Sequence[str]) -> Call | None:
    """Return the call that removes which of these keys a call can't go on with.

    None if none of them is of a kind that can be removed.
    """
    pairs: list[str] = []
    kinds: list[Argument] = []
    wake_up, all_nodes = b"", ""
    for key in keys:
        kind = _KINDS.get(kind_of(key))
        if kind is None:
            continue
        its_keys = ShardKeys(tag_of(key))
        other = key
        if kind.consequence == "distrust":
            other = its_keys.born
        elif kind.consequence == "forget":
            other = its_keys.meta(name_of(key))
        elif kind.consequence == "announce":
            other = its_keys.present
        elif kind.consequence == "wake":
            wake_up = wire.pack_order(wire.Kind.WAKE_UP, name_of(key))
            all_nodes = its_keys.all_nodes
        pairs += (key, other)
        kinds += kind
    if not pairs:
        return None
    return Call(script("mend"), pairs, [wake_up, all_nodes, *kinds])
