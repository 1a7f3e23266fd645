"""Live models that are in no installed app, and their tables."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar
from uuid import uuid4

from django.apps import AppConfig
from django.apps.registry import Apps
from django.db import connections, models

from realtime import on_commit
from realtime.live_models import live_model
from realtime.sharded_layer import sharded_layer
from tests.waiting import wait_until


class LiveShop(AppConfig):
    """An app that the project does not know."""

    name = "tests.realtime.live_models"
    label = "liveshop"


# Others don't find these models.
APPS = Apps([LiveShop(LiveShop.name, sys.modules[LiveShop.name])])


class Base(models.Model):
    """What the models have in common."""

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        abstract = True
        app_label = "liveshop"
        apps = APPS

    def __str__(self) -> str:
        return str(self.pk)


@live_model(
    rooms=lambda order: [order.room, *order.more_rooms()],
    fields=["status", "total"],
    template="live/_order.html",
)
class Order(Base):
    """Its room depends on a field that is not published."""

    status = models.CharField(max_length=20, default="new")
    total = models.IntegerField(default=0)
    team = models.CharField(max_length=20)

    class Meta(Base.Meta):
        pass

    @cached_property
    def room(self) -> str:
        """The team's room."""
        return f"team.{self.team}"

    def more_rooms(self) -> list[str]:
        """Of a subclass."""
        return []


class OrderProxy(Order):
    """The same rows."""

    class Meta(Base.Meta):
        proxy = True


class Special(Order):
    """With a room of its own, too."""

    note = models.CharField(max_length=20, default="")

    class Meta(Base.Meta):
        pass

    def more_rooms(self) -> list[str]:
        """Those of special orders."""
        return ["special"]


@live_model(rooms=lambda order: ["own"])
class Own(Order):
    """A subclass that is live itself."""

    note = models.CharField(max_length=20, default="")

    class Meta(Base.Meta):
        pass


class Coded(Base):
    """Has a key of its own."""

    code = models.IntegerField(primary_key=True)

    class Meta(Base.Meta):
        pass


class CodedOrder(Coded, Order):
    """Its key is another than the order's."""

    class Meta(Base.Meta):
        pass


@live_model(rooms=lambda row: ["abstract"], template="live/_item.html")
class Abstract(Base):
    """Has no table."""

    class Meta(Base.Meta):
        abstract = True


class Lamp(Abstract):
    """Has one."""

    class Meta(Base.Meta):
        pass


class LampProxy(Lamp):
    """And this is the same."""

    class Meta(Base.Meta):
        proxy = True


@live_model(rooms=lambda item: ["items"], fields=["n", "twice"], moves=False)
class Item(Base):
    """Stays in its room, and has a text as key and a value that the database computes."""

    sku = models.CharField(max_length=400, primary_key=True)
    n = models.IntegerField(default=0)
    note = models.CharField(max_length=20, default="")
    twice: ClassVar[Any] = models.GeneratedField(
        expression=models.F("n") * 2, output_field=models.IntegerField(), db_persist=True
    )

    class Meta(Base.Meta):
        pass


@live_model(rooms=lambda item: ["plain"], fields=["n", "note"], moves=False)
class Plain(Base):
    """Stays in its room, and has no more than plain fields."""

    n = models.IntegerField(default=0)
    note = models.CharField(max_length=20, default="")

    class Meta(Base.Meta):
        pass


@live_model(rooms=lambda document: ["documents"], fields=["path"])
class Document(Base):
    """Has a file."""

    file = models.FileField()

    class Meta(Base.Meta):
        pass

    @property
    def path(self) -> str:
        """The file's."""
        return str(self.file.name)


@live_model(rooms=lambda tag: ["tags"], template="live/_item.html", moves=False)
class Tag(Base):
    """Has a text as key, and HTML."""

    name = models.CharField(max_length=400, primary_key=True)

    class Meta(Base.Meta):
        pass


MODELS = (Order, Special, Own, Coded, CodedOrder, Lamp, Item, Plain, Document, Tag)


@contextmanager
def tables(alias: str = "default") -> Iterator[None]:
    """Have the tables of the models in a database."""
    with connections[alias].schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    try:
        yield
    finally:
        with connections[alias].schema_editor() as editor:
            for model in reversed(MODELS):
                editor.delete_model(model)


def new_team() -> str:
    """Return a team that no other test has."""
    return uuid4().hex[:12]


def published(room: str) -> list[Any]:
    """Return what is in a room's history, once all is published that is under way."""
    wait_until(lambda: not on_commit.counters.waiting)

    async def read() -> list[Any]:
        return [json.loads(each.data) for each in await sharded_layer().history(room)]

    return asyncio.run(read())


def told(room: str) -> list[tuple[Any, ...]]:
    """Return what was published to a room: what became of which row, and its values."""
    return [
        (each["event"], each["pk"], *each.get("fields", {}).values()) for each in published(room)
    ]
