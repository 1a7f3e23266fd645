"""A client that does not get what its own request published, from end to end."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from realtime import apublish, apublish_many, apublish_on_commit, apublish_to_user, client_of
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.waiting import until


async def name_of(client: Client, id: int = 90) -> str:
    """Return a connection's id, as its page learns it."""
    name: str = (await client.ask(id, connect={}))["connected"]["client"]
    return name


async def test_sender_is_left_out(redis_layer: ShardedChannelLayer) -> None:
    """All others get it, through Redis; the sender learns where the room is, and gets the next."""
    async with Client() as sender, Client() as other:
        name = await name_of(sender)
        assert await name_of(sender, 91) == name
        assert await name_of(other) != name
        for client in (sender, other):
            await client.ask(1, subscribe={"room": "general"})
        await apublish("general", "mine", exclude=name)
        await apublish("general", "next")
        assert await sender.receive() == {"room": "general", "offset": 1}
        assert await sender.receive() == {"room": "general", "offset": 2, "data": "next"}
        assert (await other.receive())["data"] == "mine"
        assert (await other.receive())["data"] == "next"
    assert [item.data for item in await redis_layer.history("general")] == [b'"mine"', b'"next"']


async def test_who_comes_back_reads_it_in_the_history(memory_layer: ShardedChannelLayer) -> None:
    """A new connection is another client, and its page may not have what its request changed."""
    async with Client() as sender:
        await apublish("general", "mine", exclude=await name_of(sender))
    async with Client() as again:
        beginning = {"room": "general", "offset": 0, "epoch": ""}
        answer = await again.ask(1, subscribe=beginning)
    assert [item["data"] for item in answer["subscribed"]["publications"]] == ["mine"]


@pytest.mark.django_db(transaction=True)
async def test_many_and_a_users_other_devices(memory_layer: ShardedChannelLayer) -> None:
    """Whatever publishes to rooms can leave a client out."""
    async with Client() as sender, Client() as other:
        name = await name_of(sender)
        for client in (sender, other):
            await client.ask(1, subscribe=[{"room": "a"}, {"room": "b"}])
        await apublish_many([("a", 1), ("b", 2)], exclude=name)
        await apublish_on_commit("a", 3, exclude=name)
        got = [await other.receive() for _ in range(3)]
        assert sorted(push["data"] for push in got) == [1, 2, 3]
        passed = [await sender.receive() for _ in range(3)]
        assert not any("data" in push for push in passed)
    position = await apublish_to_user(7, "x", exclude=name)
    assert position is not None


async def test_name_ends_with_its_connection(memory_layer: ShardedChannelLayer) -> None:
    """Nothing is kept of a client that has gone."""
    node = await memory_layer.node()
    async with Client() as client:
        await name_of(client)
        assert len(node._rooms.clients) == 1
    await until(lambda: not node._rooms.clients)


async def test_what_is_no_id_is_refused(memory_layer: ShardedChannelLayer) -> None:
    """A wrong id is the program's fault; the outbox leaves nobody out."""
    with pytest.raises(ValueError, match=r"client_of\(request\)"):
        await apublish("general", 1, exclude="me")
    with pytest.raises(ValueError, match="client_of"):
        await apublish_many([("general", 1)], exclude="")
    with pytest.raises(ValueError, match="outbox"):
        await apublish_on_commit("general", 1, exclude="x" * 16, outbox=True)
    with pytest.raises(TypeError, match="is not the id of a client"):
        await memory_layer.publish("general", b"1", exclude="me")


@pytest.mark.parametrize(
    ("value", "client"),
    [(None, None), ("", None), ("<script>", None), ("Zk3xw91abQ0p-_7c", "Zk3xw91abQ0p-_7c")],
)
def test_header(value: str | None, client: str | None) -> None:
    """A view takes the id from the request; what anybody may send instead is no error."""
    headers = {} if value is None else {"X-Realtime-Client": value}
    assert client_of(RequestFactory().post("/", headers=headers)) == client
