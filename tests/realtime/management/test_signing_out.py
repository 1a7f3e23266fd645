"""`manage.py realtime disconnect` and `unsubscribe`."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from realtime.nodes.node_orders import read_order
from realtime.rooms.room_names import CONTROL_ROOM, NODES_ROOM
from shardlayer import ShardedChannelLayer
from tests.realtime.users import end_queries


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, redis_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield User.objects.create_user("ada", password="x")
    end_queries()


async def told(layer: ShardedChannelLayer, *command: str) -> tuple[str, dict[str, object]]:
    """Run a command; return what it wrote, and the newest entry of the log without its time."""
    written = StringIO()
    await sync_to_async(call_command)("realtime", *command, stdout=written)
    (newest,) = await layer.history(CONTROL_ROOM, 1)
    entry: dict[str, object] = orjson.loads(newest.data)
    del entry["at"]
    return written.getvalue(), entry


async def test_disconnect(ada: User, redis_layer: ShardedChannelLayer) -> None:
    """By name or by key, it is said to all nodes."""
    written, entry = await told(redis_layer, "disconnect", "ada")
    assert written == "Told all workers to close the connections of ada.\n"
    assert entry == {"user": str(ada.pk)}
    assert (await told(redis_layer, "disconnect", "77", "--key"))[1] == {"user": "77"}


async def test_disconnect_of_one_connection(
    settings: Settings, redis_layer: ShardedChannelLayer
) -> None:
    """The order is signed, and names the connection and who gave it."""
    written = StringIO()
    name = "Zk3xw91abQ0p-_7c"
    await sync_to_async(call_command)(
        "realtime", "disconnect", "--connection", name, stdout=written
    )
    assert written.getvalue() == f"Told all workers to close the connection {name}.\n"
    (newest,) = await redis_layer.history(NODES_ROOM, 1)
    order = read_order(orjson.loads(newest.data))
    assert order is not None
    assert (order.close, order.drain) == (name, "")
    assert order.by.startswith("manage.py (")


async def test_unsubscribe(ada: User, redis_layer: ShardedChannelLayer) -> None:
    """Likewise, with the room."""
    written, entry = await told(redis_layer, "unsubscribe", "ada", "orders")
    assert written == "Told all workers to put ada out of orders.\n"
    assert entry == {"user": str(ada.pk), "room": "orders"}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["disconnect", "eve"], "no user 'eve'"),
        (["disconnect", "ada", "--key"], "neither a user nor the primary key"),
        (["unsubscribe", "ada", "no room"], "can't name a room"),
        (["disconnect"], "either a USER or a --connection"),
        (["disconnect", "ada", "--connection", "a" * 16], "either a USER or a --connection"),
        (["disconnect", "--connection", "a b"], "is not the id of a connection"),
    ],
)
async def test_what_can_not_be(ada: User, command: list[str], reason: str) -> None:
    """A clear word, and nothing is said to anybody."""
    with pytest.raises(CommandError, match=reason):
        await sync_to_async(call_command)("realtime", *command)
