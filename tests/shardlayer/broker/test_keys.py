"""The names of things in Redis."""

from __future__ import annotations

import re

import pytest

from shardlayer.broker.redis.keys import ShardKeys, parse_group_key, scan_pattern


def test_all_names_of_a_shard_have_its_hash_tag() -> None:
    """Every key and channel of a shard carries one hash tag, so none can cross a slot."""
    keys = ShardKeys("rt.07")
    names = [
        keys.alive,
        keys.born,
        keys.all_nodes,
        keys.inbox_prefix,
        keys.writer("w"),
        keys.nodes("g"),
        keys.meta("g"),
        keys.history("g"),
        keys.queue("c"),
        keys.waiting("c"),
        keys.inbox("n"),
        keys.present,
        keys.here("n"),
        keys.people("g"),
    ]
    assert {re.findall(r"\{(.*?)\}", name)[0] for name in names} == {"rt.07"}
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("group", ["general", "a.b:c", "nodes", "}:meta:x"])
def test_group_is_read_from_its_keys(group: str) -> None:
    """A group's `nodes` and `meta` keys say which group and which shard they are of."""
    keys = ShardKeys("rt.07")
    assert parse_group_key(keys.nodes(group)) == ("rt.07", group)
    assert parse_group_key(keys.meta(group)) == ("rt.07", group)


def test_other_keys_are_no_groups() -> None:
    """Keys that are not a group's, or not ours, are told apart."""
    keys = ShardKeys("rt.07")
    for name in (keys.alive, keys.history("g"), keys.waiting("c"), "stranger", "", "{x}"):
        assert parse_group_key(name) is None


def test_scan_pattern_escapes_the_prefix() -> None:
    """A prefix with glob characters matches just itself."""
    assert scan_pattern("a*b") == "{a\\*b.*}:*"
