"""Models whose rows are published: created, updated and deleted ones, to the rooms that they name.

A publication leaves when the transaction is committed (`publish_on_commit`). What Django's signals
do not tell is not seen: `QuerySet.update`, `bulk_create`, `bulk_update`, raw SQL, the database's
own cascades, changes of many-to-many fields, and `loaddata`. `publish_changes` tells of these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from channels import DEFAULT_CHANNEL_LAYER
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Field, Model, QuerySet
from django.db.models.fields.files import FieldFile
from django.db.models.signals import class_prepared, post_save, pre_delete, pre_save

from realtime.html_changes import Swap, element_id, html_change
from realtime.on_commit import publish_on_commit, require_app
from realtime.rooms.room_names import may_be_rooms
from shardlayer import MessageTooLarge

__all__ = ["live_model", "publish_changes"]

logger = logging.getLogger(__name__)

Change = Literal["created", "updated", "deleted"]
Rooms = Callable[[Any], Iterable[str]]
ModelClass = TypeVar("ModelClass", bound=type[Model])

_live: dict[type[Model], LiveModel] = {}
_BEFORE = "_realtime_before"  # an object's attribute while it is saved


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

    def rooms_of(self, row: Model) -> list[str]:
        """Return the names of a row's rooms, each once.

        Raises:
            TypeError: `rooms` returned one text, or nothing that can be iterated over.
        """
        answer: object = self.rooms(row)
        if not may_be_rooms(answer):
            raise TypeError(
                f"The rooms of {_published_as(type(row)).__name__} are to be a list of names, "
                f"not {answer!r:.120}."
            )
        return list(dict.fromkeys(answer))

    def needs(self, written: Iterable[Field[Any, Any]] | None) -> bool:
        """Say whether other values are needed than those of some fields; None: than the key."""
        if self.moves or self.template is not None:
            return True
        known = {name for each in written or () for name in (each.name, each.attname)}
        return not known.issuperset(self.fields)

    def publish(
        self, change: Change, row: Model, rooms: Iterable[str], database: str | None
    ) -> None:
        """Publish a change of a row to rooms, once its transaction is committed."""
        rooms = list(dict.fromkeys(rooms))
        if not rooms:
            return
        data = self._data(change, row)
        for room in rooms:
            try:
                self._publish(room, data, database)
            except MessageTooLarge as error:
                # The row stands, and its request is not to fail for what is told of it.
                logger.warning("A change is published without its data: %s", error)
                self._publish(room, _named(change, row), database)

    def _publish(self, room: str, data: object, database: str | None) -> None:
        publish_on_commit(room, data, outbox=self.outbox, using=self.using, database=database)

    def _data(self, change: Change, row: Model) -> dict[str, object]:
        data = _named(change, row)
        if change != "deleted" and self.fields:
            data["fields"] = {name: _value(row, name) for name in self.fields}
        if self.template is None:
            return data
        id = html_id(row)
        if change == "deleted":
            return data | html_change(None, swap="remove", id=id)
        context = {"object": row, _published_as(type(row))._meta.model_name or "row": row}
        swap: Swap = self.swap if change == "created" else "replace"
        return data | html_change(self.template, context, swap=swap, id=id)


@dataclass(frozen=True, slots=True)
class _Before:
    """A row before it is saved, None if there is none, and its rooms then."""

    row: Model | None
    rooms: Sequence[str]


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
        rooms: Returns the names of a row's rooms, as a list or another iterable that is no text; an
            empty one if nobody is to be told of the row. For a row that changes it is called with
            what the database has, too. What it raises, `save()` and `delete()` raise.
        fields: Names of fields, and of attributes and properties, that are published. A foreign key
            is published as the key. Whoever may follow the room sees them.
        template: Rendered once for each change.
        swap: Where the HTML of a created row goes.
        moves: Whether an update may change the row's rooms. Then the row is read before each
            update and `row.delete()`, which takes one more query. The rooms that it leaves get
            "deleted", and those that it enters get "created". False where the rooms depend on the
            primary key alone.
        outbox: Whether to publish exactly once, through the outbox: see `publish_on_commit`.
        using: The alias of the channel layer.

    What is published is what the database has. Of `save(update_fields=…)`, and of a row with
    deferred fields, only the fields that were written are taken from the object.

    Subclasses and proxies of the model are published as well, as rows of this model: under its
    name and key, with its `id` and the template's variable. Those that are declared live themselves
    have their own. Below an abstract model each model is published under its own name.

    Raises:
        FieldDoesNotExist: `fields` names what the model does not have.
        ImproperlyConfigured: `realtime` is not in INSTALLED_APPS.
    """

    def decorate(model: ModelClass) -> ModelClass:
        require_app("live_model")
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

    Each row's values are published as they are on the object: read them again after an update. A
    row that has an expression, such as `F("stock") - 1`, is read here.

    Args:
        change: "created", "updated" or "deleted".
        rows: Rows of live models. For rows that you delete, call this before, in the transaction.
        database: The alias of the database whose transaction it is. Default: each row's.

    Raises:
        TypeError: A row's model is not live, or its `rooms` returned no list.
        ValueError: A row has no primary key, as after `bulk_create` on some databases.
    """
    for row in rows:
        live = _live_of(type(row))
        if live is None:
            raise TypeError(f"{type(row).__name__} is not a live model.")
        if row.pk is None:
            raise ValueError(f"A {type(row).__name__} without a primary key can't be published.")
        using = database or row._state.db
        if change != "deleted" and _has_expression(row, row._meta.concrete_fields):
            row = _read(row, using) or row
        live.publish(change, row, live.rooms_of(row), using)


def html_id(row: Model) -> str:
    """Return the id of a row's element, of its model's name and its key, such as `order-7`.

    The model is the one that was declared live: see `live_model`. What an id can't have is escaped:
    see `element_id`.
    """
    model = _published_as(type(row))
    return element_id(model._meta.model_name or "row", _key(row, model))


def _live_of(model: type[Model]) -> LiveModel | None:
    declared = _declared(model)
    return None if declared is None else _live[declared]


def _declared(model: type[Model]) -> type[Model] | None:
    return next((base for base in model.__mro__ if base in _live), None)


def _published_as(model: type[Model]) -> type[Model]:
    """Return the model under whose name rows are published: the one that was declared live.

    Of an abstract one it is the first below that has a table, as each table has its own keys.
    """
    declared = _declared(model)
    if declared is None:
        return model
    below = [each for each in model.__mro__ if issubclass(each, declared)]
    return next((each for each in reversed(below) if not each._meta.abstract), model)


def _key(row: Model, model: type[Model]) -> object:
    """Return a row's primary key as a row of a model above; a subclass may have another."""
    key: object = getattr(row, model._meta.pk.attname)
    return key


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
    """Note what the row is so far, and in which rooms."""
    live = _live_of(sender)
    if live is None or raw or not live.moves:
        return
    old = None
    if instance.pk is not None and not (instance._state.adding and sender._meta.pk.has_default()):
        old = _locked(instance, using, keeps_key=True)
    rooms = []
    if old is not None:
        attributes = dict(old.__dict__)
        rooms = live.rooms_of(old)
        old.__dict__ = attributes  # without cached properties: its values change
    setattr(instance, _BEFORE, _Before(old, rooms))


def _after_save(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None = None,
    **_: object,
) -> None:
    live = _live_of(sender)
    if live is None or raw:
        return
    before: _Before | None = instance.__dict__.pop(_BEFORE, None)
    old = None if before is None else before.row
    row = _as_saved(live, instance, old, created, using, update_fields)
    rooms = live.rooms_of(row)
    if created:
        live.publish("created", row, rooms, using)
        return
    if before is None:  # they do not change
        live.publish("updated", row, rooms, using)
        return
    live.publish("deleted", row, [room for room in before.rooms if room not in rooms], using)
    live.publish("created", row, [room for room in rooms if room not in before.rooms], using)
    live.publish("updated", row, [room for room in rooms if room in before.rooms], using)


def _as_saved(
    live: LiveModel,
    instance: Model,
    old: Model | None,
    created: bool,
    using: str,
    update_fields: Collection[str] | None,
) -> Model:
    """Return a row as the database has it. An object may be older where it was not written.

    The row is read again only where neither the object nor the row before has what is needed.
    """
    written = _written(instance, update_fields)
    is_computed = _has_expression(instance, written) or (not created and _is_generated(instance))
    if is_computed and live.needs(None):
        return _read(instance, using) or instance
    if update_fields is None or not live.needs(written):
        return instance
    if old is None:
        return _read(instance, using) or instance
    for each in written:
        value = getattr(instance, each.attname)
        # A file's object knows the row that it belongs to, and would take this one for it.
        setattr(old, each.attname, value.name if isinstance(value, FieldFile) else value)
    return old


def _written(row: Model, update_fields: Collection[str] | None) -> Sequence[Field[Any, Any]]:
    every = row._meta.concrete_fields
    if update_fields is None:
        return every
    return [each for each in every if each.name in update_fields or each.attname in update_fields]


def _has_expression(row: Model, fields: Iterable[Field[Any, Any]]) -> bool:
    """Say whether only the database knows a value, such as what `F("stock") - 1` came to."""
    values = row.__dict__
    return any(hasattr(values.get(each.attname), "resolve_expression") for each in fields)


def _is_generated(row: Model) -> bool:
    return any(each.generated for each in row._meta.concrete_fields)


def _before_delete(
    sender: type[Model], instance: Model, using: str, origin: object = None, **_: object
) -> None:
    """Publish while what the rooms are made of is still there; a failure rolls it back.

    Of a row of a subclass Django tells twice, the second time as a row of the model above. Then its
    rooms are told, and here only those that the row has as one of the subclass.
    """
    live = _live_of(sender)
    if live is None:
        return
    rows = [instance]
    if live.moves and _may_be_stale(instance, origin):
        read = _locked(instance, using, keeps_key=False)
        rows += [] if read is None else [read]
    above = {room for row in rows for part in _parts(row, live) for room in live.rooms_of(part)}
    rooms = [room for row in rows for room in live.rooms_of(row) if room not in above]
    live.publish("deleted", instance, rooms, using)


def _parts(row: Model, live: LiveModel) -> list[Model]:
    """Return a row of a subclass as the rows of the models above that are published as it is."""
    links = (row._meta.concrete_model or type(row))._meta.parents.items()
    return [getattr(row, link.name) for model, link in links if link and _live_of(model) is live]


def _may_be_stale(instance: Model, origin: object) -> bool:
    """Say whether a row that is deleted is a caller's object. Others Django has read just now."""
    if isinstance(origin, QuerySet):
        return False
    if instance is origin or not isinstance(origin, Model):
        return True
    return isinstance(origin, type(instance)) and type(origin) is not type(instance)


def _rows(row: Model, using: str | None) -> QuerySet[Model]:
    """Return the query of a row as the database has it.

    It reads the row's own tables and no others. The model's ordering and its base manager may join,
    group and filter: then a database locks other rows too, or refuses to lock.
    """
    return QuerySet(type(row), using=using).filter(pk=row.pk).order_by()


def _read(row: Model, using: str | None) -> Model | None:
    return _only(_rows(row, using))


def _locked(row: Model, using: str, *, keeps_key: bool) -> Model | None:
    """Read a row; within a transaction nobody else moves it until that is committed.

    The lock is the one that an update (`keeps_key`) or a deletion takes next. During an update
    others may add rows that refer to this one.
    """
    rows = _rows(row, using)
    connection = connections[using]
    features = connection.features
    if connection.in_atomic_block and features.has_select_for_update:
        no_key = keeps_key and features.has_select_for_no_key_update
        rows = rows.select_for_update(no_key=no_key)
    return _only(rows)


def _only(rows: QuerySet[Model]) -> Model | None:
    """Return a query's only row. `first` sets a limit, and Oracle locks no row of such a query."""
    return next(iter(rows), None)


def _named(change: Change, row: Model) -> dict[str, object]:
    model = _published_as(type(row))
    return {"event": change, "model": model._meta.label_lower, "pk": _key(row, model)}


def _value(row: Model, name: str) -> object:
    try:
        model_field = row._meta.get_field(name)
    except FieldDoesNotExist:
        return getattr(row, name)
    return getattr(row, getattr(model_field, "attname", name))  # of a foreign key the key
