"""Models that publish themselves, on the commit of what changed them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.exceptions import FieldDoesNotExist
from django.core.management import call_command
from django.db import transaction
from django.db.models import F, Model
from django.db.models.signals import post_save, pre_delete, pre_save
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import live_models, on_commit
from realtime.live_models import html_id, live_model, publish_changes
from realtime.models import OutboxEntry
from realtime.sharded_layer import sharded_layer
from tests.realtime.conftest import channel_layers
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TEMPLATES = Path(__file__).parent / "templates"

Declare = Callable[..., None]


class Undo(Exception):
    """Rolls a transaction back."""


@pytest.fixture(autouse=True)
def layer(settings: Settings, redis_server: EmbeddedValkey) -> Iterator[None]:
    """A layer on a real server."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    yield
    asyncio.run(sharded_layer().close())


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Makes a model live, for the test."""
    monkeypatch.setattr(live_models, "_live", {})
    declared: list[type[Model]] = []

    def make(model: type[Model], **options: Any) -> None:
        declared.append(model)
        live_model(**options)(model)

    yield make
    for model in declared:
        for signal in (pre_save, post_save, pre_delete):
            id = f"realtime.live_models.{model._meta.label}"
            assert signal.disconnect(sender=model, dispatch_uid=id)


def published(room: str) -> list[Any]:
    """Return what is in a room's history, once all is published that is under way."""
    wait_until(lambda: not on_commit.counters.waiting)

    async def read() -> list[Any]:
        return [json.loads(each.data) for each in await sharded_layer().history(room)]

    return asyncio.run(read())


def events(room: str) -> list[tuple[str, Any]]:
    """Return what was published to a room, as what became of which row."""
    return [(each["event"], each["pk"]) for each in published(room)]


def test_a_row_is_followed_from_its_beginning_to_its_end(declare: Declare) -> None:
    """With the fields that were named, as they are at each moment."""
    declare(Group, rooms=lambda group: ["groups", f"group.{group.pk}"], fields=["name"])
    group = Group.objects.create(name="a")
    pk = group.pk
    group.name = "b"
    group.save()
    group.delete()
    told = [
        {"event": "created", "model": "auth.group", "pk": pk, "fields": {"name": "a"}},
        {"event": "updated", "model": "auth.group", "pk": pk, "fields": {"name": "b"}},
        {"event": "deleted", "model": "auth.group", "pk": pk},
    ]
    assert published("groups") == told
    assert published(f"group.{pk}") == told


def test_nothing_is_told_before_the_commit_nor_after_a_rollback(declare: Declare) -> None:
    """Also not of a savepoint's."""
    declare(Group, rooms=lambda group: ["groups"])
    with suppress(Undo), transaction.atomic():
        Group.objects.create(name="a")
        raise Undo
    with transaction.atomic():
        kept = Group.objects.create(name="b")
        pk = kept.pk
        with suppress(Undo), transaction.atomic():
            kept.delete()
            raise Undo
        assert published("groups") == []
    assert events("groups") == [("created", pk)]


def test_a_row_that_moves_leaves_its_room(declare: Declare) -> None:
    """The old room is told that it is gone, the new one that it came, others of a change."""
    declare(User, rooms=lambda user: ["all", *([f"team.{user.last_name}"] * bool(user.last_name))])
    user = User.objects.create(username="ada", last_name="a")
    stale = User.objects.get(pk=user.pk)
    user.last_name = "b"
    user.save()
    stale.last_name = ""  # and does not know of b
    stale.save()
    assert events("all") == [("created", user.pk), ("updated", user.pk), ("updated", user.pk)]
    assert events("team.a") == [("created", user.pk), ("deleted", user.pk)]
    assert events("team.b") == [("created", user.pk), ("deleted", user.pk)]


def test_a_row_that_does_not_move_costs_no_query(
    declare: Declare, django_assert_num_queries: Any
) -> None:
    """With moves=False an update is one query, as without us."""
    declare(Group, rooms=lambda group: [f"group.{group.pk}"], moves=False)
    group = Group.objects.create(name="a")
    with django_assert_num_queries(1):
        group.save()
    assert events(f"group.{group.pk}") == [("created", group.pk), ("updated", group.pk)]


def test_what_only_the_database_knows_is_read(declare: Declare) -> None:
    """An F() is published as what it came to, a foreign key as its key."""
    declare(LogEntry, rooms=lambda entry: ["log"], fields=["action_flag", "user", "object_repr"])
    user = User.objects.create(username="ada")
    entry = LogEntry.objects.create(user=user, action_flag=1, object_repr="x", change_message="")
    entry.action_flag = F("action_flag") + 2
    entry.save()
    fields = [each["fields"] for each in published("log")]
    assert fields == [
        {"action_flag": 1, "user": user.pk, "object_repr": "x"},
        {"action_flag": 3, "user": user.pk, "object_repr": "x"},
    ]


def test_properties_may_be_published(declare: Declare) -> None:
    """And what is not there is refused when the model is made."""
    declare(User, rooms=lambda user: ["users"], fields=["is_anonymous"])
    User.objects.create(username="ada")
    assert published("users")[0]["fields"] == {"is_anonymous": False}
    with pytest.raises(FieldDoesNotExist, match="nonsense"):
        live_model(rooms=lambda group: [], fields=["nonsense"])(Group)


def test_a_row_without_rooms_is_told_to_nobody(declare: Declare) -> None:
    """Nor does a room that is named twice hear of it twice."""
    declare(Group, rooms=lambda group: ["x", "x"] if group.name == "a" else [])
    group = Group.objects.create(name="a")
    Group.objects.create(name="b")
    assert events("x") == [("created", group.pk)]


def test_what_signals_do_not_tell_is_told_by_a_call(declare: Declare) -> None:
    """update() and bulk_create() are not seen, and `publish_changes` tells of them on commit."""
    declare(Group, rooms=lambda group: ["groups"], fields=["name"])
    made = Group.objects.bulk_create([Group(name="a"), Group(name="b")])
    Group.objects.filter(name="a").update(name="c")
    assert published("groups") == []
    with transaction.atomic():
        publish_changes("created", made)
        publish_changes("updated", Group.objects.filter(name="c"))
        assert published("groups") == []
    told = published("groups")
    assert [each["event"] for each in told] == ["created", "created", "updated"]
    assert told[2]["fields"] == {"name": "c"}
    Group.objects.filter(name="c").delete()  # which is seen
    assert events("groups")[-1] == ("deleted", made[0].pk)
    with pytest.raises(TypeError, match="User is not a live model"):
        publish_changes("created", [User()])
    with pytest.raises(ValueError, match="primary key"):
        publish_changes("created", [Group(name="x")])


def test_fixtures_are_not_told(declare: Declare, tmp_path: Path) -> None:
    """loaddata may bring rows before what they refer to."""
    declare(Group, rooms=lambda group: ["groups"])
    fixture = tmp_path / "groups.json"
    rows = [{"model": "auth.group", "pk": 7, "fields": {"name": "a", "permissions": []}}]
    fixture.write_text(json.dumps(rows))
    call_command("loaddata", str(fixture), verbosity=0)
    assert Group.objects.get().pk == 7
    assert published("groups") == []


def test_proxies_are_told_of_as_well(declare: Declare) -> None:
    """They are the same rows. One that is made later is noticed."""
    declare(Group, rooms=lambda group: ["groups"])

    class Team(Group):
        class Meta:
            proxy = True
            app_label = "auth"

    try:
        team = Team.objects.create(name="a")
        assert [each["pk"] for each in published("groups")] == [team.pk]
    finally:
        Team._meta.apps.all_models["auth"].pop("team")
        for signal in (pre_save, post_save, pre_delete):
            signal.disconnect(sender=Team, dispatch_uid="realtime.live_models.auth.Team")


def test_the_outbox_takes_them(declare: Declare) -> None:
    """In the row's own transaction."""
    declare(Group, rooms=lambda group: ["groups"], outbox=True)
    Group.objects.create(name="a")
    assert OutboxEntry.objects.count() == 1
    assert published("groups") == []


def test_what_is_too_large_is_told_without_its_data(
    declare: Declare, settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """The row is saved all the same."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], max_message_size=2_000)
    declare(LogEntry, rooms=lambda entry: ["log"], fields=["change_message"])
    user = User.objects.create(username="ada")
    entry = LogEntry.objects.create(user=user, action_flag=1, change_message="x" * 3_000)
    assert published("log") == [{"event": "created", "model": "admin.logentry", "pk": entry.pk}]


async def test_asynchronous_code_saves_as_well(declare: Declare) -> None:
    """`asave` and `adelete` send the same signals."""
    declare(Group, rooms=lambda group: ["groups"])
    group = await Group.objects.acreate(name="a")
    pk = group.pk
    await group.adelete()
    from asgiref.sync import sync_to_async

    assert await sync_to_async(events)("groups") == [("created", pk), ("deleted", pk)]


class TestHtml:
    """`template=`: a change that `<realtime-room>` puts in."""

    @pytest.fixture(autouse=True)
    def templates(self, settings: Settings) -> None:
        """A folder of templates."""
        (engine,) = settings.TEMPLATES
        settings.TEMPLATES = [engine | {"DIRS": [TEMPLATES]}]

    def test_it_is_rendered_once_and_escaped(self, declare: Declare) -> None:
        """With the row and the id that its element has."""
        declare(
            Group,
            rooms=lambda group: ["a", "b"],
            template="live/_group.html",
            swap="prepend",
        )
        group = Group.objects.create(name="<b>")
        group.name = "x"
        group.save()
        pk = group.pk
        id = html_id(group)
        assert id == f"group-{pk}"
        group.delete()
        told = published("a")
        assert told == published("b")
        html = [each.get("html", "").strip() for each in told]
        assert html == [f'<li id="{id}">&lt;b&gt;!</li>', f'<li id="{id}">x!</li>', ""]
        assert [(each["swap"], each["id"]) for each in told] == [
            ("prepend", id),
            ("replace", id),
            ("remove", id),
        ]
