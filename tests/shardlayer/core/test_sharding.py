"""Names to shards, shards to Redis Cluster slots."""

from __future__ import annotations

import pytest

from shardlayer.core.sharding import CLUSTER_SLOTS, fnv1a_64, hash_tags, shard_of, slot_of

# From the test suite that comes with the FNV reference code (isthe.com/chongo/tech/comp/fnv).
FNV1A_64_VECTORS = {
    b"": 0xCBF29CE484222325,
    b"a": 0xAF63DC4C8601EC8C,
    b"b": 0xAF63DF4C8601F1A5,
    b"c": 0xAF63DE4C8601EFF2,
    b"d": 0xAF63D94C8601E773,
    b"e": 0xAF63D84C8601E5C0,
    b"f": 0xAF63DB4C8601EAD9,
    b"fo": 0x08985907B541D342,
    b"foo": 0xDCB27518FED9D577,
    b"foob": 0xDD120E790C2512AF,
    b"fooba": 0xCAC165AFA2FEF40A,
    b"foobar": 0x85944171F73967E8,
}


@pytest.mark.parametrize(("data", "expected"), FNV1A_64_VECTORS.items())
def test_hash_agrees_with_the_published_vectors(data: bytes, expected: int) -> None:
    """FNV-1a 64 is the function that its authors published."""
    assert fnv1a_64(data) == expected


def test_shards_are_filled_evenly() -> None:
    """100,000 names of the usual kind lie within 10 % of an equal share in each of 32 shards."""
    names = [
        f"{kind}.{number}" for kind in ("user", "order", "chat", "t") for number in range(25_000)
    ]
    counts = [0] * 32
    for name in names:
        counts[shard_of(name, 32)] += 1
    share = len(names) / 32
    assert max(counts) < share * 1.1
    assert min(counts) > share * 0.9


def test_slot_is_the_one_that_redis_cluster_computes() -> None:
    """The slot of the specification's example, CRC16("123456789") = 0x31C3."""
    assert slot_of("123456789") == 0x31C3 % CLUSTER_SLOTS


@pytest.mark.parametrize("masters", range(1, 9))
@pytest.mark.parametrize("shards", range(1, 33))
def test_hash_tags_lie_evenly_over_the_primaries(shards: int, masters: int) -> None:
    """Primaries that own equal ranges of slots hold equally many shards, give or take one."""
    counts = [0] * masters
    for tag in hash_tags("rt", shards):
        counts[slot_of(tag) * masters // CLUSTER_SLOTS] += 1
    assert sum(counts) == shards
    assert max(counts) - min(counts) <= 1


def test_hash_tags_are_distinct_and_the_same_everywhere() -> None:
    """Every process finds the same 32 tags; these are stored in Redis and must never change."""
    tags = hash_tags("rt", 32)
    assert len(set(tags)) == 32
    assert tags == hash_tags.__wrapped__("rt", 32)
    assert fnv1a_64(",".join(tags).encode()) == PINNED_TAGS


PINNED_TAGS = 13553121290905323035  # FNV-1a 64 of the 32 tags, joined by commas
