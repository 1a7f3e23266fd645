"""Bad settings get an error that names them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.options import LayerOptions
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.types import HistoryPolicy


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"host": "redis://x"}, r"no key 'host'.*hosts"),
        ({"hosts": []}, "hosts"),
        ({"serializer_format": "yaml", "capacity": 0}, "capacity is 0"),
        ({"hosts": ["redis://a", "redis://b"], "shards": 1}, "2 servers for 1 shards"),
        ({"capacity": "100"}, "capacity is '100'.*whole number"),
        ({"capacity": True}, "capacity is True"),
        ({"expiry": 0}, "expiry is 0"),
        ({"expiry": "60"}, "expiry is '60'"),
        ({"group_expiry": -1}, "group_expiry is -1"),
        ({"channel_capacity": 5}, "channel_capacity is 5.*a dictionary of globs"),
        ({"channel_capacity": {"a*": 0}}, r"channel_capacity\['a\*'\] is 0.*above 0"),
        ({"channel_capacity": {"a": 2, "b": "3"}}, r"channel_capacity\['b'\] is '3'"),
        ({"channel_capacity": {"a": None}}, r"channel_capacity\['a'\] is None"),
        ({"channel_capacity": {"a": True}}, r"channel_capacity\['a'\] is True"),
        ({"channel_capacity": {7: 1}}, r"channel_capacity\[7\] is 1.*a glob or a compiled pattern"),
        (
            {"channel_capacity": {re.compile(b"a"): 1}},
            r"channel_capacity\[re.compile.*a glob or a compiled pattern",
        ),
        ({"shards": 0}, "shards is 0"),
        ({"shards": True}, "shards is True"),
        ({"shards": 1_000}, "shards is 1000"),
        ({"prefix": "a{b"}, "prefix"),
        ({"lease_ttl": -1}, "lease_ttl is -1"),
        ({"batch_size": 1.5}, "batch_size is 1.5.*whole number"),
        ({"batch_size": 5_001}, "batch_size is 5001.*5000 at most"),
        ({"publish_timeout": "5"}, "publish_timeout"),
        ({"publish_timeout": 241}, "publish_timeout is 241.*240 at most"),
        ({"history": 300}, "history is 300"),
        ({"history": {"a": {"length": 3}}}, r"history\['a'\]"),
        ({"history": {"a": {"size": -1}}}, r"history\['a'\]\['size'\]"),
        ({"history": {"a": {"ttl": 0}}}, r"history\['a'\]\['ttl'\]"),
        ({"meta_ttl": 60.0}, "meta_ttl is 60 s"),
        ({"meta_ttl_per_publication": 60.0}, "at least 120 seconds"),
        ({"meta_ttl_per_publication": -1}, "meta_ttl_per_publication is -1"),
    ],
)
def test_wrong_setting_is_named(config: dict[str, Any], named: str) -> None:
    """The message says which key is wrong and what it takes."""
    with pytest.raises(ConfigurationError, match=named):
        LayerOptions.from_config(**config)


def test_first_matching_glob_decides_the_history() -> None:
    """Policies are tried in order; a room that none matches keeps nothing."""
    options = LayerOptions.from_config(
        history={"chat.*": {"size": 5, "ttl": 10}, "chat.off": {}, "log": None}
    )
    assert options.policy_of("chat.off") == HistoryPolicy(size=5, ttl=10.0)
    assert options.policy_of("log") == options.policy_of("other") == NO_HISTORY
    assert LayerOptions().policy_of("any") == HistoryPolicy(size=300, ttl=300.0)
