"""The lock of a row that is saved or deleted takes that row alone, whatever its model joins."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections, transaction

from tests.postgresql import PostgreSQL
from tests.realtime.live_models.joined_shop import (
    MODELS,
    ByCustomer,
    Customer,
    Delivery,
    Gift,
    Sale,
    joined_tables,
)
from tests.realtime.live_models.shop import new_team, told

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"  # no statement of these tests ever waits


@pytest.fixture
def joined(alias: str) -> Iterator[str]:
    """The alias of a database with the tables."""
    with joined_tables(alias):
        yield alias


@pytest.fixture
def joined_postgresql(shop_layer: None, postgresql_alias: str) -> Iterator[str]:
    """The alias of a PostgreSQL with the tables."""
    with joined_tables(postgresql_alias):
        yield postgresql_alias


@pytest.fixture
def other(postgresql: PostgreSQL, joined_postgresql: str) -> Iterator[psycopg.Cursor]:
    """The transaction of somebody else, who does not wait."""
    with psycopg.connect(postgresql.url.replace("postgres:", "postgresql:", 1)) as session:
        yield session.cursor()
        session.rollback()  # before the tables go


def made(model: type[ByCustomer], alias: str) -> ByCustomer:
    """Return a new row with a customer."""
    customer = Customer(name="Ada")
    customer.save(using=alias)
    row = model(team=new_team(), customer=customer)
    row.save(using=alias)
    return row


def free(other: psycopg.Cursor, row: ByCustomer | Customer) -> bool:
    """Say whether somebody else could change a row just now."""
    table, key = row._meta.db_table, row._meta.pk.column
    query = f'SELECT 1 FROM {table} WHERE "{key}" = %s FOR NO KEY UPDATE SKIP LOCKED'
    return other.execute(query, [row.pk]).fetchone() is not None


@pytest.mark.parametrize("model", MODELS)
def test_a_row_is_deleted_whatever_its_model_joins(model: type[ByCustomer], joined: str) -> None:
    """By a stale object: the row is read, and is told where it is."""
    row = made(model, joined)
    pk, old, new = row.pk, row.team, new_team()
    stale = model.objects.using(joined).get(pk=pk)
    row.team = new
    row.save()
    stale.delete()
    assert told(f"team.{old}")[-1] == ("deleted", pk)
    assert told(f"team.{new}") == [("created", pk, "new"), ("deleted", pk)]
    assert not model.objects.using(joined).filter(pk=pk).exists()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("update_fields", [None, ["status", "team"]])
def test_a_row_is_saved_in_a_transaction_whatever_its_model_joins(
    model: type[ByCustomer], joined: str, update_fields: list[str] | None
) -> None:
    """And its rooms before are known."""
    row = made(model, joined)
    old, row.team, row.status = row.team, new_team(), "paid"
    with transaction.atomic(using=joined):
        row.save(update_fields=update_fields)
    assert told(f"team.{old}")[1:] == [("deleted", row.pk)]
    assert told(f"team.{row.team}") == [("created", row.pk, "paid")]


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("model", MODELS)
def test_the_customer_is_free_while_a_row_is_locked(
    model: type[ByCustomer], joined_postgresql: str, other: psycopg.Cursor
) -> None:
    """Else each change of a row would wait for those of the same customer's other rows."""
    row = made(model, joined_postgresql)
    with transaction.atomic(using=joined_postgresql):
        row.save(update_fields=["status"])
        assert free(other, row.customer)
        assert not free(other, row)
    with transaction.atomic(using=joined_postgresql):
        row.delete()
        assert free(other, row.customer)


@pytest.mark.needs("postgresql")
def test_a_row_of_two_tables_is_locked_in_both(
    joined_postgresql: str, other: psycopg.Cursor
) -> None:
    """What is saved of it is in one, and its room depends on the other."""
    gift = made(Gift, joined_postgresql)
    sale = Sale.objects.using(joined_postgresql).get(pk=gift.pk)
    with transaction.atomic(using=joined_postgresql):
        gift.save(update_fields=["note"])
        assert (free(other, gift), free(other, sale)) == (False, False)
    assert free(other, gift)


@pytest.mark.needs("postgresql")
def test_an_update_goes_on_beside_rows_that_come_to_refer_to_it(
    joined_postgresql: str, other: psycopg.Cursor
) -> None:
    """As it does where the model is not live. Two who add a row and save this one would wait for
    each other.
    """
    row = made(Delivery, joined_postgresql)
    table = row._meta.db_table
    other.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR KEY SHARE", [row.pk])  # as an INSERT
    with transaction.atomic(using=joined_postgresql):
        connections[joined_postgresql].cursor().execute(LOCK_TIMEOUT)
        row.status = "paid"
        row.save()
    assert told(f"team.{row.team}")[-1] == ("updated", row.pk, "paid")


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize(
    "feature",
    [
        "supports_select_for_update_with_limit",  # Oracle has it not
        "has_select_for_update_of",  # MariaDB
        "has_select_for_no_key_update",  # only PostgreSQL has it
    ],
)
def test_a_lock_needs_nothing_that_only_some_databases_have(
    feature: str, joined_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django refuses what a database is said to lack."""
    monkeypatch.setattr(connections[joined_postgresql].features, feature, False)
    row = made(Sale, joined_postgresql)
    pk, room = row.pk, f"team.{row.team}"
    with transaction.atomic(using=joined_postgresql):
        row.status = "paid"
        row.save()
    row.delete()
    assert told(room) == [("created", pk, "new"), ("updated", pk, "paid"), ("deleted", pk)]
