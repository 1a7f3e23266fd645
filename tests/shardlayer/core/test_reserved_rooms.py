"""Rooms that an application keeps for itself."""

from __future__ import annotations

from uuid import uuid4

import pytest

from shardlayer import HistoryPolicy, Mark, ShardedChannelLayer, reserve_room
from shardlayer.core import reserved_rooms
from shardlayer.core.client_names import new_client_name
from shardlayer.core.options import LayerOptions
from tests.shardlayer.fakes import RecordingSink


@pytest.fixture(autouse=True)
def reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room `own`, for one test."""
    monkeypatch.setattr(reserved_rooms, "_reserved", {})
    reserve_room("own", lambda: HistoryPolicy(size=7, ttl=60.0))


def test_it_remembers_what_it_is_to() -> None:
    """Whatever the layer's `history` says of rooms; never longer than the room's offset is kept."""
    options = LayerOptions.from_config(hosts=["memory://"], history={"*": None})
    assert options.policy_of("own") == HistoryPolicy(size=7, ttl=60.0)
    assert not options.policy_of("other").keeps
    reserve_room("own", lambda: HistoryPolicy(size=7, ttl=1e9))
    assert options.policy_of("own").ttl == options.meta_ttl


async def test_it_is_not_counted_and_not_listed() -> None:
    """A project sees its own rooms; the reserved one works like any other."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"], history={"*": None})
    node = await layer.node()
    try:
        for room in ("own", "other"):
            (await node.join(room, RecordingSink())).release()
        assert node.hears("own")
        assert node.rooms() == 1
        assert layer.stats()["rooms"] == 1
        assert await layer.publish_reserved("own", b"1") is not None
        assert await layer.publish("other", b"1") is None
        _, listed = await layer.scan_rooms(0)
        assert [room.room for room in listed] == ["other"]
    finally:
        await layer.close()


async def test_only_the_application_publishes_to_it() -> None:
    """Whoever publishes where a stranger says does not reach it, by whichever call."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    mark = Mark(source="log", offset=1)
    try:
        for send in (
            lambda: layer.publish("own", b"1"),
            lambda: layer.publish("own", b"1", exclude=new_client_name()),
            lambda: layer.publish_many([("other", b"1"), ("own", b"1")]),
            lambda: layer.publish_marked([("own", b"1", mark)]),
        ):
            with pytest.raises(TypeError, match="'own' is reserved"):
                await send()
        with pytest.raises(TypeError, match="'other' is not reserved"):
            await layer.publish_reserved("other", b"1")
        assert await layer.history("own") == []
        assert await layer.history("other") == []
        assert await layer.publish_reserved("own", b"2") is not None
        assert [item.data for item in await layer.history("own")] == [b"2"]
    finally:
        await layer.close()
