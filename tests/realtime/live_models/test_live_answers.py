"""What `rooms` may return, and what becomes of the row if it returns something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from realtime.live_models import publish_changes
from tests.realtime.live_models.shop import published
from tests.realtime.live_models.test_live_models import Declare, declare, layer

__all__ = ["declare", "layer"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)

Answer = Callable[[Any], Any]


async def later(group: Group) -> list[str]:
    """Return rooms too late."""
    return ["orders"]


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize(
    "rooms",
    [
        lambda group: "orders",
        lambda group: b"orders",
        lambda group: None,
        lambda group: 7,
        lambda group: {"orders": 1},
        later,
    ],
)
def test_one_text_is_no_list_of_rooms(declare: Declare, rooms: Answer, moves: bool) -> None:
    """A room for each of its letters would be told. Nor is anything else that is no list."""
    declare(Group, rooms=rooms, moves=moves)
    for change in (
        lambda: Group.objects.create(name="a"),
        lambda: Group.objects.get().save(),
        lambda: Group.objects.get().delete(),
        lambda: publish_changes("updated", Group.objects.all()),
    ):
        with pytest.raises(TypeError, match="rooms of Group are to be a list of names, not"):
            change()
    assert Group.objects.count() == 1  # the first was written: there was no transaction
    assert [published(room) for room in ("orders", "o")] == [[], []]


def test_in_a_transaction_the_row_is_rolled_back(declare: Declare) -> None:
    """As after any error."""
    declare(Group, rooms=lambda group: "orders")
    with pytest.raises(TypeError, match="list of names"), transaction.atomic():
        Group.objects.create(name="a")
    assert not Group.objects.exists()


@pytest.mark.parametrize("kind", [list, tuple, set, dict.fromkeys, iter])
def test_other_iterables_are_read(declare: Declare, kind: Callable[[list[str]], Any]) -> None:
    """A generator and a dict's keys, too; a dict itself is more likely a mistake."""
    made = (lambda rooms: kind(rooms).keys()) if kind == dict.fromkeys else kind
    declare(Group, rooms=lambda group: made([f"group.{group.pk}"]))
    group = Group.objects.create(name="a")
    pk = group.pk
    group.save()
    group.delete()
    events = [each["event"] for each in published(f"group.{pk}")]
    assert events == ["created", "updated", "deleted"]
