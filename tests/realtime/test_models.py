"""The model that stands for rooms."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from realtime.models import Room


@pytest.mark.django_db
def test_migrations_are_complete() -> None:
    """No model has changed without a migration."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_rooms_have_no_table() -> None:
    """Migrating makes a permission and no table."""
    assert Room._meta.db_table not in connection.introspection.table_names()
    assert str(Room(name="chat.lobby")) == "chat.lobby"
