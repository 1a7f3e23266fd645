"""Models whose rows are published: created, updated and deleted ones, to the rooms that they name.

A publication leaves when the transaction is committed (`publish_on_commit`). What Django's signals
do not tell is not seen: `QuerySet.update`, `bulk_create`, `bulk_update`, raw SQL, the database's
own cascades, changes of many-to-many fields, and `loaddata`. `publish_changes` tells of these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from channels import DEFAULT_CHANNEL_LAYER
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Model
from django.db.models.signals import class_prepared, post_save, pre_delete, pre_save

from realtime.html_changes import Swap, html_change
from realtime.on_commit import publish_on_commit
from shardlayer import MessageTooLarge

__all__ = ["live_model", "publish_changes"]

logger = logging.getLogger(__name__)

Change = Literal["created", "updated", "deleted"]
Rooms = Callable[[Any], Iterable[str]]
ModelClass = TypeVar("ModelClass", bound=type[Model])

_live: dict[type[Model], LiveModel] = {}
_OLD_ROOMS = "_realtime_old_rooms"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveModel:
    """What is published of a model, see `live_model`."""

    rooms: Rooms
    fields: Sequence[str]
    template: str | None
    swap: Swap
    moves: bool
    outbox: bool
    using: str = field(default=DEFAULT_CHANNEL_LAYER)

    def publish(
        self, change: Change, row: Model, rooms: Iterable[str], database: str | None
    ) -> None:
        """Publish a change of a row to rooms, once its transaction is committed."""
        rooms = list(dict.fromkeys(rooms))
        if not rooms:
            return
        data = self._data(change, row, database)
        for room in rooms:
            try:
                self._publish(room, data, database)
            except MessageTooLarge as error:
                # The row stands, and its request is not to fail for what is told of it.
                logger.warning("A change is published without its data: %s", error)
                self._publish(room, _named(change, row), database)

    def _publish(self, room: str, data: object, database: str | None) -> None:
        publish_on_commit(room, data, outbox=self.outbox, using=self.using, database=database)

    def _data(self, change: Change, row: Model, database: str | None) -> dict[str, object]:
        data = _named(change, row)
        if change != "deleted" and self.fields:
            data["fields"] = _values(row, self.fields, database)
        if self.template is None:
            return data
        id = html_id(row)
        if change == "deleted":
            return data | html_change(None, swap="remove", id=id)
        context = {"object": row, row._meta.model_name or "row": row}
        swap: Swap = self.swap if change == "created" else "replace"
        return data | html_change(self.template, context, swap=swap, id=id)


def live_model(
    *,
    rooms: Rooms,
    fields: Sequence[str] = (),
    template: str | None = None,
    swap: Literal["append", "prepend"] = "append",
    moves: bool = True,
    outbox: bool = False,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> Callable[[ModelClass], ModelClass]:
    """Have the rows of a model published as they are created, updated and deleted.

        @live_model(rooms=lambda order: [f"order.{order.pk}", "orders"], fields=["status", "total"])
        class Order(models.Model): ...

    This is published: `{"event": "updated", "model": "shop.order", "pk": 7, "fields": {…}}`. With a
    template, the data of `html_change` are added, for `<realtime-room>`: the template gets the row
    as `object` and under the model's name, and the `id` that its element must have
    (`html_id(row)`, such as `order-7`).

    Args:
        rooms: Returns the names of a row's rooms; none of them if nobody is to be told of the row.
        fields: Names of fields, and of attributes and properties, that are published. A foreign key
            is published as the key. Whoever may follow the room sees them.
        template: Rendered once for each change.
        swap: Where the HTML of a created row goes.
        moves: Whether an update may change the row's rooms. Then the row is read before each
            update, which takes one more query. The rooms that it leaves get "deleted", and those
            that it enters get "created". False where the rooms depend on the primary key alone.
        outbox: Whether to publish exactly once, through the outbox: see `publish_on_commit`.
        using: The alias of the channel layer.

    Subclasses and proxies of the model are published as well, unless they have their own.

    Raises:
        FieldDoesNotExist: `fields` names what the model does not have.
    """

    def decorate(model: ModelClass) -> ModelClass:
        for name in fields:
            if not hasattr(model, name):
                raise FieldDoesNotExist(f"{model.__name__} has no {name!r} to publish.")
        _live[model] = LiveModel(
            rooms=rooms,
            fields=tuple(fields),
            template=template,
            swap=swap,
            moves=moves,
            outbox=outbox,
            using=using,
        )
        _connect(model)
        return model

    return decorate


def publish_changes(change: Change, rows: Iterable[Model], *, database: str | None = None) -> None:
    """Publish a change of rows for which Django sent no signals.

        orders = list(Order.objects.filter(status="new"))
        Order.objects.filter(pk__in=[order.pk for order in orders]).update(status="paid")
        publish_changes("updated", Order.objects.filter(pk__in=[order.pk for order in orders]))

    Each row's values are published as they are on the object: read them again after an update.

    Args:
        change: "created", "updated" or "deleted".
        rows: Rows of live models. For rows that you delete, call this before, in the transaction.
        database: The alias of the database whose transaction it is. Default: each row's.

    Raises:
        TypeError: A row's model is not live.
        ValueError: A row has no primary key, as after `bulk_create` on some databases.
    """
    for row in rows:
        live = _live_of(type(row))
        if live is None:
            raise TypeError(f"{type(row).__name__} is not a live model.")
        if row.pk is None:
            raise ValueError(f"A {type(row).__name__} without a primary key can't be published.")
        live.publish(change, row, live.rooms(row), database or row._state.db)


def html_id(row: Model) -> str:
    """Return the id of a row's element: its model's name and its primary key."""
    return f"{row._meta.model_name}-{row.pk}"


def _live_of(model: type[Model]) -> LiveModel | None:
    for base in model.__mro__:
        if base in _live:
            return _live[base]
    return None


def _connect(model: type[Model]) -> None:
    id = f"realtime.live_models.{model._meta.label}"
    for signal, receiver in (
        (pre_save, _before_save),
        (post_save, _after_save),
        (pre_delete, _before_delete),
    ):
        signal.connect(receiver, sender=model, dispatch_uid=id)


def _prepared(sender: type[Model], **_: object) -> None:
    """Hear of a model that is made below a live one."""
    if _live_of(sender) is not None:
        _connect(sender)


class_prepared.connect(_prepared, dispatch_uid="realtime.live_models")


def _before_save(sender: type[Model], instance: Model, raw: bool, using: str, **_: object) -> None:
    """Note the rooms in which the row is so far."""
    live = _live_of(sender)
    if live is None or raw or not live.moves:
        return
    old = None
    if instance.pk is not None and not (instance._state.adding and sender._meta.pk.has_default()):
        rows = sender._base_manager.using(using).filter(pk=instance.pk)
        connection = connections[using]
        if connection.in_atomic_block and connection.features.has_select_for_update:
            rows = rows.select_for_update()  # nobody else moves it until this is committed
        old = rows.first()
    setattr(instance, _OLD_ROOMS, [] if old is None else list(live.rooms(old)))


def _after_save(
    sender: type[Model], instance: Model, created: bool, raw: bool, using: str, **_: object
) -> None:
    live = _live_of(sender)
    if live is None or raw:
        return
    rooms = list(live.rooms(instance))
    old = instance.__dict__.pop(_OLD_ROOMS, None)
    if created:
        live.publish("created", instance, rooms, using)
        return
    if old is None:  # they do not change
        live.publish("updated", instance, rooms, using)
        return
    live.publish("deleted", instance, [room for room in old if room not in rooms], using)
    live.publish("created", instance, [room for room in rooms if room not in old], using)
    live.publish("updated", instance, [room for room in rooms if room in old], using)


def _before_delete(sender: type[Model], instance: Model, using: str, **_: object) -> None:
    """Publish while what the rooms are made of is still there; a failure rolls it back."""
    live = _live_of(sender)
    if live is not None:
        live.publish("deleted", instance, live.rooms(instance), using)


def _named(change: Change, row: Model) -> dict[str, object]:
    return {"event": change, "model": row._meta.label_lower, "pk": row.pk}


def _values(row: Model, names: Sequence[str], database: str | None) -> dict[str, object]:
    values = {name: _value(row, name) for name in names}
    # Of `F("stock") - 1` only the database knows what it came to.
    unknown = [name for name, value in values.items() if hasattr(value, "resolve_expression")]
    if unknown:
        rows = type(row)._base_manager.using(database).filter(pk=row.pk)
        values |= rows.values(*unknown).first() or {}
    return values


def _value(row: Model, name: str) -> object:
    try:
        model_field = row._meta.get_field(name)
    except FieldDoesNotExist:
        return getattr(row, name)
    return getattr(row, getattr(model_field, "attname", name))  # of a foreign key the key
