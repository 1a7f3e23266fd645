"""Which shard a name belongs to, and which Redis Cluster slot a shard belongs to.

A name's shard is `fnv1a_64(name) % shards`: a published hash that any language can compute, spread
well over short names, and without Python's per-process seed.

A shard's keys all carry one hash tag, so that a shard is one slot of a Redis Cluster and a script
may touch several of its keys. With the obvious tags `{0}`..`{31}`, CRC16 spreads the
shards unevenly over the 16,384 slots: one of four primaries would hold 12 shards and another 5. So
`hash_tags` looks for a short suffix that puts shard i near the middle of the i-th of n equal parts
of the slots.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable
from functools import lru_cache

FNV_OFFSET_BASIS = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
_MASK_64 = 0xFFFFFFFFFFFFFFFF

CLUSTER_SLOTS = 16_384

_CACHED_NAMES = 65_536  # names whose shard is remembered, some 10 MB when full


def fnv1a_64(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash of `data`, from 0 to 2**64 - 1.

    Source: http://www.isthe.com/chongo/tech/comp/fnv/, whose test vectors the tests hold.
    """
    value = FNV_OFFSET_BASIS
    for byte in data:
        value = ((value ^ byte) * FNV_PRIME) & _MASK_64
    return value


@lru_cache(maxsize=_CACHED_NAMES)
def shard_of(name: str, shards: int) -> int:
    """Return the shard of a group or channel name, from 0 to `shards` - 1."""
    return fnv1a_64(name.encode()) % shards


def by_shard(names: Iterable[str], shards: int) -> dict[int, list[str]]:
    """Return names by their shards, in the order given."""
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(shard_of(name, shards), []).append(name)
    return found


def slot_of(tag: str) -> int:
    """Return the Redis Cluster slot of a hash tag's content (CRC-16/XMODEM modulo 16,384).

    Source: the Redis Cluster specification, "Key distribution model".
    """
    return crc_hqx(tag.encode(), 0) % CLUSTER_SLOTS


@lru_cache(maxsize=64)
def hash_tags(prefix: str, shards: int) -> tuple[str, ...]:
    """Return one hash tag per shard, without braces, such that their slots lie evenly.

    Shard i's slot lies just above the middle of the i-th of `shards` equal parts of the slots, by
    less than a sixteenth of a part. With two to eight equal primaries, no border between their
    ranges comes nearer to a middle, unless it is right there. So such primaries hold equally many
    shards, give or take one.
    The result depends on nothing but the arguments: every process finds the same tags.
    """
    width = CLUSTER_SLOTS / shards
    return tuple(_tag_near(prefix, shard, width) for shard in range(shards))


def _tag_near(prefix: str, shard: int, width: float) -> str:
    middle = (shard + 0.5) * width
    attempt = 0
    while True:
        tag = f"{prefix}.{shard:02d}" + (f".{attempt:x}" if attempt else "")
        if 0 <= slot_of(tag) - middle < width / 16:
            return tag
        attempt += 1
