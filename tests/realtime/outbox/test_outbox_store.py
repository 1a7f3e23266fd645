"""Which numbers an outbox gives, as its database keeps them."""

from __future__ import annotations

import pytest

from realtime.models import OutboxEntry, OutboxLease
from realtime.outbox.entries import write
from realtime.outbox.outbox_store import LeaseLost, OutboxStore

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> OutboxStore:
    """An outbox with three entries, whose lease is ours."""
    found = OutboxStore("default", lease=60.0)
    assert found.acquire()
    write("default", "default", [(room, b"1") for room in ("a", "b", "c")])
    return found


def test_some_of_the_new_ones(store: OutboxStore) -> None:
    """Only those are taken that may be; the others stay new."""
    first, second, third = store.new(10)
    assert [first[1:], second[1:], third[1:]] == [("default", room) for room in "abc"]
    assert store.new(1) == [first]
    taken = store.advance([], 10, among=[second[0]])
    assert [(entry.room, entry.batch) for entry in taken] == [("b", 1)]
    assert store.advance([], 1, among=[second[0]]) == []  # it was taken
    assert store.new(10) == [first, third]
    assert [entry.room for entry in store.advance([], 10)] == ["a", "c"]


def test_nothing_is_taken_with_a_number_that_redis_has_seen(store: OutboxStore) -> None:
    """What was published is deleted all the same."""
    [taken] = store.advance([], 1)
    assert store.advance([taken.pk], 10, behind=7) == []
    assert not OutboxEntry.objects.filter(pk=taken.pk).exists()
    assert len(store.new(10)) == 2


def test_outbox_gets_another_name_when_nothing_is_taken(store: OutboxStore) -> None:
    """Under it no number was seen."""
    source, following = store.count()
    assert store.leave_behind(7) != source
    assert store.count()[1] == following


def test_outbox_keeps_its_name_while_entries_are_taken(store: OutboxStore) -> None:
    """It counts on behind what was seen; twice makes no difference."""
    store.advance([], 1)
    source, _ = store.count()
    assert store.leave_behind(7) == source
    assert store.leave_behind(3) == source
    assert store.count() == (source, 8)
    assert {entry.batch for entry in store.advance([], 10, behind=7)} == {8}


def test_entry_that_was_put_aside_keeps_no_name(store: OutboxStore) -> None:
    """It is new when it is tried again."""
    [taken] = store.advance([], 1)
    store.put_aside(taken.pk, "why")
    source, _ = store.count()
    assert store.leave_behind(7) != source


def test_who_has_lost_the_lease_changes_nothing(store: OutboxStore) -> None:
    """Neither the name nor the count."""
    OutboxLease.objects.update(holder="another")
    before = store.count()
    with pytest.raises(LeaseLost):
        store.leave_behind(7)
    assert store.count() == before
