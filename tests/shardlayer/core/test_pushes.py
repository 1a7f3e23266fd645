"""What clients read."""

from __future__ import annotations

import orjson

from shardlayer.core.pushes import encode_push, encode_reset
from shardlayer.core.types import Position, Publication


def test_push_splices_the_data_as_it_was_published() -> None:
    """The publisher's bytes are not parsed, so their spacing stays."""
    push = encode_push(Publication(room="general", data=b'{"a": 1}', offset=43, epoch="k3"))
    assert push == b'{"room":"general","offset":43,"data":{"a": 1}}'
    assert orjson.loads(push) == {"room": "general", "offset": 43, "data": {"a": 1}}


def test_push_without_history_has_no_offset() -> None:
    """A room that keeps no history numbers nothing."""
    assert encode_push(Publication(room="a", data=b"[]")) == b'{"room":"a","data":[]}'


def test_reset_says_where_the_room_is_now() -> None:
    """A reset is JSON with the new position."""
    reset = encode_reset("general", Position(offset=7, epoch="k4"))
    assert orjson.loads(reset) == {"room": "general", "reset": {"offset": 7, "epoch": "k4"}}
