"""Proxies and subclasses of a live model are published as rows of it, each change once."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.live_models import html_id
from tests.realtime.live_models.shop import (
    CodedOrder,
    Lamp,
    LampProxy,
    Order,
    OrderProxy,
    Own,
    Special,
    new_team,
    published,
)

pytestmark = pytest.mark.usefixtures("shop")

CHANGES = [("created", "append"), ("updated", "replace"), ("deleted", "remove")]


def short(room: str) -> list[tuple[Any, ...]]:
    """Return what was published to a room, without the HTML."""
    return [
        (each["event"], each.get("swap"), each["model"], each["pk"]) for each in published(room)
    ]


@pytest.mark.parametrize("model", [OrderProxy, Special])
def test_they_are_told_as_rows_of_the_live_model(model: type[Order]) -> None:
    """With its name, its id and its variable: the page has no other. And each change once."""
    team = new_team()
    row = model.objects.create(team=team)
    pk, id = row.pk, html_id(row)
    assert id == f"order-{pk}" == html_id(Order.objects.get(pk=pk))
    row.status = "paid"
    row.save()
    row.delete()
    told = published(f"team.{team}")
    assert [(each["event"], each["swap"]) for each in told] == CHANGES
    assert {(each["model"], each["pk"], each["id"]) for each in told} == {
        ("liveshop.order", pk, id)
    }
    html = [each.get("html", "").strip() for each in told]
    assert html == [f'<li id="{id}">new 0</li>', f'<li id="{id}">paid 0</li>', ""]


@pytest.mark.parametrize("through", [Order, Special])
@pytest.mark.parametrize("many", [False, True])
def test_a_row_is_deleted_once_whichever_class_it_is_deleted_as(
    through: type[Order], many: bool
) -> None:
    """In the rooms that only the subclass names, too."""
    team = new_team()
    row = Special.objects.create(team=team)
    pk = row.pk
    rows = through.objects.filter(pk=pk)
    if many:
        rows.delete()
    else:
        rows.get().delete()
    deleted = ("deleted", "remove", "liveshop.order", pk)
    assert short(f"team.{team}")[1:] == [deleted]
    assert short("special")[-2:] == [("created", "append", "liveshop.order", pk), deleted]


def test_a_stale_object_of_a_subclass_that_is_deleted() -> None:
    """Is told where the row is, and where it is believed to be."""
    old, new = new_team(), new_team()
    row = Special.objects.create(team=old)
    pk = row.pk
    stale, mover = (Special.objects.get(pk=pk) for _ in range(2))
    mover.team = new
    mover.save()
    stale.delete()
    events = [[each[0] for each in short(f"team.{team}")] for team in (old, new)]
    assert events == [["created", "deleted", "deleted"], ["created", "deleted"]]
    assert [each[0] for each in short("special") if each[3] == pk] == [
        "created",
        "updated",
        "deleted",
    ]


def test_a_row_that_stays_without_its_part_leaves_only_the_rooms_of_that() -> None:
    """`keep_parents=True`: the order is still there."""
    team = new_team()
    row = Special.objects.create(team=team)
    pk = row.pk
    row.delete(keep_parents=True)
    assert [each[0] for each in short(f"team.{team}")] == ["created"]
    assert short("special")[-1] == ("deleted", "remove", "liveshop.order", pk)


def test_a_subclass_that_is_live_itself_has_its_own() -> None:
    """The row of the model above is deleted as one of that."""
    team = new_team()
    row = Own.objects.create(team=team)
    pk = row.pk
    assert html_id(row) == f"own-{pk}"
    row.delete()
    own = [("created", None, "liveshop.own", pk), ("deleted", None, "liveshop.own", pk)]
    assert short("own")[-2:] == own
    assert short(f"team.{team}") == [("deleted", "remove", "liveshop.order", pk)]


def test_a_subclass_with_another_key_is_told_by_that_of_the_live_model() -> None:
    """Which the page has."""
    team = new_team()
    row = CodedOrder.objects.create(team=team, code=9_009)
    order = Order.objects.get(team=team)
    assert order.pk != row.pk
    assert html_id(row) == html_id(order) == f"order-{order.pk}"
    row.delete()
    assert [each[3] for each in short(f"team.{team}")] == [order.pk, order.pk]


def test_each_table_below_an_abstract_model_has_its_own_name() -> None:
    """And so has a proxy of it."""
    lamp = Lamp.objects.create()
    pk = lamp.pk
    LampProxy.objects.get(pk=pk).save()
    made, saved = published("abstract")[-2:]
    assert (made["model"], made["id"]) == ("liveshop.lamp", f"lamp-{pk}")
    assert (saved["model"], saved["id"]) == ("liveshop.lamp", f"lamp-{pk}")
    assert saved["html"].strip() == f'<li id="lamp-{pk}">{pk}{pk}</li>'
