"""What is published of a row is what the database has, whatever an object remembers of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from realtime.live_models import publish_changes
from tests.realtime.live_models.shop import Document, Item, Order, Plain, new_team, published, told
from tests.waiting import PATIENCE, wait_until


def moved(alias: str) -> tuple[Order, str, str]:
    """Return an object of a row that moved to another team since, and had 40 put into it."""
    old, new = new_team(), new_team()
    row = Order(total=1, team=old)
    row.save(using=alias)
    stale, mover = (Order.objects.using(alias).get(pk=row.pk) for _ in range(2))
    mover.team, mover.total = new, 40
    mover.save()
    return stale, f"team.{old}", f"team.{new}"


def queries(alias: str) -> CaptureQueriesContext:
    """Count the queries of a block."""
    return CaptureQueriesContext(connections[alias])


def reads(asked: CaptureQueriesContext) -> int:
    """Count the queries that read orders."""
    return sum('FROM "liveshop_order"' in each["sql"] for each in asked if each["sql"][0] == "S")


def test_only_what_is_written_is_taken_from_the_object(alias: str) -> None:
    """The rest, and the rooms, are those of the row. It takes one query more than the update."""
    stale, old, new = moved(alias)
    pk = stale.pk
    stale.status = "paid"
    with queries(alias) as asked:
        stale.save(update_fields=["status"])
    assert len(asked) == 2
    assert told(old) == [("created", pk, "new", 1), ("deleted", pk)]
    assert told(new) == [("created", pk, "new", 40), ("updated", pk, "paid", 40)]
    assert published(new)[-1]["html"].strip() == f'<li id="order-{pk}">paid 40</li>'
    assert (stale.total, f"team.{stale.team}") == (1, old)  # the caller's object is its own


def test_a_row_with_deferred_fields_writes_those_that_it_has(alias: str) -> None:
    """Django updates only these, and so do we; nothing that was deferred is asked for."""
    stale, old, new = moved(alias)
    part = Order.objects.using(alias).only("status", "team").get(pk=stale.pk)
    Order.objects.using(alias).filter(pk=stale.pk).update(total=41)
    part.status = "paid"
    with queries(alias) as asked:
        part.save()
    assert len(asked) == 2
    assert told(new)[1:] == [("updated", part.pk, "paid", 41)]
    assert len(told(old)) == 2


def test_a_row_that_is_moved_by_an_update_of_one_field(alias: str) -> None:
    """Its rooms are seen anew, although the model caches the name of one."""
    stale, _, new = moved(alias)
    stale.team = new_team()
    stale.save(update_fields=["team"])
    assert told(new) == [("created", stale.pk, "new", 40), ("deleted", stale.pk)]
    assert told(f"team.{stale.team}") == [("created", stale.pk, "new", 40)]


def test_an_object_that_is_saved_as_a_whole_is_the_row(alias: str) -> None:
    """It writes all that it has: then the row is back where it was."""
    stale, old, new = moved(alias)
    stale.save()
    assert told(old)[1:] == [("deleted", stale.pk), ("created", stale.pk, "new", 1)]
    assert told(new)[1:] == [("deleted", stale.pk)]
    stale.refresh_from_db()
    assert (stale.total, f"team.{stale.team}") == (1, old)


@pytest.mark.parametrize("update_fields", [None, ["total"]])
def test_an_expression_is_told_as_what_it_came_to(
    alias: str, update_fields: list[str] | None
) -> None:
    """In the HTML as well. It takes one query, however many rooms are told."""
    stale, old, _ = moved(alias)
    stale.refresh_from_db()
    stale.team = old.removeprefix("team.")  # all three events, if it is written
    stale.total = F("total") + 2
    with queries(alias) as asked:
        stale.save(update_fields=update_fields)
    assert len(asked) <= 3  # Django 6 has it from the update itself
    event, pk, *values = told(f"team.{Order.objects.using(alias).get(pk=stale.pk).team}")[-1]
    assert (event, pk, values) == ("updated" if update_fields else "created", pk, ["new", 42])
    room = old if update_fields is None else f"team.{Order.objects.using(alias).get().team}"
    assert published(room)[-1]["html"].strip() == f'<li id="order-{pk}">new 42</li>'


def test_a_call_tells_what_an_expression_came_to(alias: str) -> None:
    """The rest is as on the object."""
    stale, _, new = moved(alias)
    stale.refresh_from_db()
    stale.total = F("total") + 2
    Order.objects.using(alias).filter(pk=stale.pk).update(total=50)
    publish_changes("updated", [stale], database=alias)
    assert told(new)[-1] == ("updated", stale.pk, "new", 50)


def test_a_stale_object_that_is_deleted_is_told_where_the_row_is(alias: str) -> None:
    """And where the object believes it to be. It takes one query more."""
    stale, old, new = moved(alias)
    pk = stale.pk
    with queries(alias) as asked:
        stale.delete()
    assert reads(asked) == 1
    assert told(old) == [("created", pk, "new", 1), ("deleted", pk), ("deleted", pk)]
    assert told(new) == [("created", pk, "new", 40), ("deleted", pk)]


def test_rows_that_django_reads_to_delete_them_are_not_read_again(alias: str) -> None:
    """Else a query set of many rows would cost as many queries."""
    team = new_team()
    made = [Order(team=team) for _ in range(5)]
    for row in made:
        row.save(using=alias)
    with queries(alias) as asked:
        Order.objects.using(alias).filter(team=team).delete()
    assert reads(asked) == 1
    assert [each[0] for each in told(f"team.{team}")] == ["created"] * 5 + ["deleted"] * 5


def test_a_row_that_is_gone_is_told_where_the_object_believes_it(alias: str) -> None:
    """Whoever deleted it may have told nobody."""
    stale, old, _ = moved(alias)
    pk = stale.pk
    Order.objects.using(alias).filter(pk=pk)._raw_delete(alias)
    stale.delete()
    assert told(old)[-1] == ("deleted", pk)


def test_a_new_row_with_a_key_is_created(alias: str) -> None:
    """With and without force_insert."""
    team = new_team()
    Order(pk=7_001, team=team).save(using=alias, force_insert=True)
    Order(pk=7_002, team=team).save(using=alias)
    assert told(f"team.{team}") == [("created", 7_001, "new", 0), ("created", 7_002, "new", 0)]


def test_a_row_that_stays_is_read_if_more_is_published_than_was_written(
    shop: None, django_assert_num_queries: Any
) -> None:
    """With moves=False: one more query. None if the object wrote all that is published."""
    row = Plain.objects.create(n=1, note="a")
    stale = Plain.objects.get(pk=row.pk)
    Plain.objects.filter(pk=row.pk).update(n=2)
    stale.note = "b"
    with django_assert_num_queries(2):
        stale.save(update_fields=["note"])
    with django_assert_num_queries(1):
        stale.save(update_fields=["note", "n"])
    with django_assert_num_queries(1):
        stale.save()
    values = [(2, "b"), (1, "b"), (1, "b")]
    assert told("plain")[-3:] == [("updated", row.pk, *each) for each in values]


def test_a_generated_field_is_told_as_the_database_computed_it(shop: None) -> None:
    """The object has what it was before the update."""
    item = Item.objects.create(sku="a", n=1)
    item.n = 5
    item.save()
    item.n = 6
    item.save(update_fields=["n"])
    assert told("items")[-3:] == [
        ("created", "a", 1, 2),
        ("updated", "a", 5, 10),
        ("updated", "a", 6, 12),
    ]


def test_a_file_stays_the_objects_own(shop: None) -> None:
    """What a caller holds does not come to belong to the row that was read."""
    row = Document.objects.create(file="a.txt")
    row.file = "b.txt"
    held = row.file
    row.save(update_fields=["file"])
    assert told("documents") == [("created", row.pk, "a.txt"), ("updated", row.pk, "b.txt")]
    assert held.instance is row


@pytest.mark.needs("postgresql")
def test_a_row_is_not_moved_between_the_look_at_it_and_the_commit(
    shop_layer: None, postgresql_alias: str
) -> None:
    """Who moves it just then is waited for, or waits."""
    alias, (old, new) = postgresql_alias, (new_team(), new_team())
    row = Order(total=1, team=old)
    row.save(using=alias)
    stale, mover = (Order.objects.using(alias).get(pk=row.pk) for _ in range(2))
    errors: list[BaseException] = []

    def pay() -> None:
        try:
            with transaction.atomic(using=alias):
                stale.status = "paid"
                stale.save(update_fields=["status"])
        except BaseException as error:
            errors.append(error)
        finally:
            connections[alias].close()

    def waits() -> bool:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

    thread = threading.Thread(target=pay)
    with transaction.atomic(using=alias):
        mover.team, mover.total = new, 40
        mover.save()
        thread.start()
        wait_until(waits)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert errors == []
    assert told(f"team.{old}") == [("created", row.pk, "new", 1), ("deleted", row.pk)]
    # Each is published once it is committed, by a thread of its own: in either order.
    changes = [("created", row.pk, "new", 40), ("updated", row.pk, "paid", 40)]
    assert sorted(told(f"team.{new}")) == changes
