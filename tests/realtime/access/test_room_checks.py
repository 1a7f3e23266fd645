"""The system checks of ROOMS: what would fail the first subscriber fails `manage.py check`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.room_checks import check_open_rooms, check_rooms
from realtime.checks import check_realtime
from realtime.conf import conf
from tests.realtime.access.test_client_permissions import permissions
from tests.realtime.conftest import channel_layers

HERE = "tests.realtime.access.test_room_checks"


def too_few(user: Any, room: str) -> bool:
    """Take less than a rule gets."""
    return True


class Everybody:
    """No rule: an object of it is true."""

    def __init__(self, user: Any, room: str, claims: Any) -> None: ...


async def authorize(user: Any, action: str, room: str) -> bool:
    """Decide as projects did before there were rules."""
    return (action, room) in {("subscribe", "chat.a"), ("publish", "chat.a")}


def found(settings: Settings, rooms: Any, **more: Any) -> list[tuple[str | None, str]]:
    """Return ids and texts, hints included."""
    settings.REALTIME = {"ROOMS": rooms, **more}
    return [(item.id, f"{item.msg} {item.hint}") for item in check_rooms(None)]


def test_good_rules(settings: Settings) -> None:
    """Nothing is found where all is right."""
    rules = {
        "subscribe": "tests.realtime.access.test_client_permissions.may",
        "publish": "permission:realtime.view_room",
        "presence": "tests.realtime.access.test_client_permissions.owners",
    }
    assert found(settings, {"a.*": rules, "user.*": {"history": None}, "*": {}}) == []


@pytest.mark.parametrize(
    ("rooms", "id", "words"),
    [
        ({"a": {"subscribe": "nowhere.at.all"}}, "realtime.E003", "['a']['subscribe']"),
        ({"a": {"publish": f"{HERE}.nothing"}}, "realtime.E003", "['a']['publish']"),
        ({"a": {"publish": "tests.realtime.access.bad_rules.may"}}, "realtime.E003", "ValueError"),
        ({"a": {"subscribe": f"{HERE}.too_few"}}, "realtime.E005", "(user, room, claims)"),
        ({"a": {"subscribe": f"{HERE}.Everybody"}}, "realtime.E005", "no function"),
        ({"a": {"subscribe": f"{HERE}.HERE"}}, "realtime.E005", "no function"),
        ({"a": {"subscribe": "permission:shop.see"}}, "realtime.E006", "'shop'"),
        ({"user.*": {"subscribe": "anyone"}}, "realtime.E008", "users' own"),
    ],
)
def test_wrong_rules(settings: Settings, rooms: Any, id: str, words: str) -> None:
    """Each is an error that says where it is."""
    [(name, text)] = found(settings, rooms)
    assert name == id
    assert words in text


def test_wrong_form_is_found_once(settings: Settings) -> None:
    """By the check of REALTIME, in as many messages as there are mistakes."""
    assert found(settings, {"a": {"subscribe": "anybody"}, "b": 5}) == []
    assert [item.id for item in check_realtime(None)] == ["realtime.E002"] * 2


def test_histories_that_contradict(settings: Settings) -> None:
    """What rooms remember is said in one place, or the same in both."""
    rooms = {"chat.*": {"history": {"size": 5}}, "*": {}}
    settings.CHANNEL_LAYERS = channel_layers(history={"chat.*": {"size": 6}, "*": {}})
    [(id, text)] = found(settings, rooms)
    assert id == "realtime.E007"
    assert "CHANNEL_LAYERS['default']" in text
    for history in ({"chat.*": {"size": 5, "ttl": 300}, "*": {}}, None):
        settings.CHANNEL_LAYERS = channel_layers(history=history)
        assert found(settings, rooms) == []
    settings.CHANNEL_LAYERS = channel_layers(history={"chat.*": {"size": 6}})
    assert found(settings, {"*": {}}) == []


def test_calm_rooms_that_contradict(settings: Settings) -> None:
    """How often rooms are written to is said in one place, or the same in both."""
    rooms = {"prices.*": {"max_rate": 5, "conflate": "symbol"}, "*": {}}
    settings.CHANNEL_LAYERS = channel_layers(calm={"prices.*": {"max_rate": 6}})
    [(id, text)] = found(settings, rooms)
    assert id == "realtime.E007"
    assert "CHANNEL_LAYERS['default']['CONFIG']['calm']" in text
    for calm in ({"prices.*": {"max_rate": 5, "conflate": "symbol"}}, None):
        settings.CHANNEL_LAYERS = channel_layers(calm=calm)
        assert found(settings, rooms) == []
    settings.CHANNEL_LAYERS = channel_layers(calm={"prices.*": {"max_rate": 6}})
    assert found(settings, {"*": {}}) == []


@pytest.mark.parametrize(
    ("meta_ttl", "age", "warned"),
    [
        (None, 30 * 86_400, False),
        (None, 30 * 86_400 + 1, True),
        (3_600, 3_600, False),
        (3_600, 86_400, True),
        ("a day", 60 * 86_400, False),
    ],
)
@pytest.mark.parametrize("name", ["ROOM_TOKEN_MAX_AGE", "TOKEN_MAX_AGE"])
def test_tokens_that_outlive_what_is_remembered(
    settings: Settings, name: str, meta_ttl: Any, age: int, warned: bool
) -> None:
    """The layer keeps nothing for longer than its `meta_ttl`, 30 days by default."""
    said = {} if meta_ttl is None else {"meta_ttl": meta_ttl}
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://check"], **said)
    told = found(settings, {"*": {}}, **{"ROOM_TOKEN_MAX_AGE": 60, "TOKEN_MAX_AGE": 60, name: age})
    assert [id for id, _ in told] == ["realtime.W007"] * warned
    assert all(f"REALTIME['{name}'] is {age:,} s" in text for _, text in told)


def test_open_rooms_are_warned_of(settings: Settings) -> None:
    """Before a deploy: reading and writing apart, so that one can be silenced."""
    settings.REALTIME = {
        "ROOMS": {
            "prices.*": {"subscribe": "anyone"},
            "chat.*": {"subscribe": "anyone", "publish": "anyone"},
            "*": {},
        }
    }
    reading, writing = check_open_rooms(None)
    assert (reading.id, writing.id) == ("realtime.W002", "realtime.W003")
    assert "'prices.*', 'chat.*'" in reading.msg
    assert "'prices.*'" not in writing.msg
    settings.REALTIME = {}
    assert check_open_rooms(None) == []


class TestOldSettings:
    """CLIENT_PUBLISH and AUTHORIZE."""

    async def test_authorize_goes_on(self, settings: Settings) -> None:
        """It decides as it did, each time, and Python warns of its age."""
        settings.REALTIME = {"CLIENT_PUBLISH": ["chat.*"], "AUTHORIZE": f"{HERE}.authorize"}
        with pytest.warns(DeprecationWarning, match="ROOMS"):
            connection: Permissions = permissions()
        for room, action, allowed in (
            ("chat.a", "subscribe", True),
            ("chat.a", "publish", True),
            ("chat.b", "publish", False),
            ("chat.a", "presence", False),
            ("user.7", "subscribe", False),
        ):
            assert await connection.allows(action, room) is allowed  # type: ignore[arg-type]

    def test_authorize_is_warned_of(self, settings: Settings) -> None:
        """The check says what to write."""
        settings.REALTIME = {"CLIENT_PUBLISH": ["chat.*"], "AUTHORIZE": f"{HERE}.authorize"}
        with pytest.warns(DeprecationWarning, match="ROOMS"):
            [warning] = check_rooms(None)
        assert warning.id == "realtime.W001"
        assert "'chat.*': {'subscribe': " in str(warning.hint)

    def test_client_publish_alone_is_refused(self, settings: Settings) -> None:
        """It left all rooms open to everybody; what to write is said."""
        settings.REALTIME = {"CLIENT_PUBLISH": ["chat.*"]}
        [error] = check_realtime(None)
        assert error.id == "realtime.E002"
        assert "'ROOMS': {'chat.*': {" in error.msg
        with pytest.raises(ImproperlyConfigured, match="ROOMS"):
            conf()

    def test_wrong_old_settings_are_no_crash(self, settings: Settings) -> None:
        """Whatever stands there."""
        settings.REALTIME = {"CLIENT_PUBLISH": [["a"], "b"]}
        assert [item.id for item in check_realtime(None)] == ["realtime.E002"] * 2

    @pytest.mark.parametrize("old", [{"CLIENT_PUBLISH": ["a"]}, {"AUTHORIZE": "a.b"}])
    def test_beside_rooms_they_are_refused(self, settings: Settings, old: dict[str, Any]) -> None:
        """Two places that say who may are one too many."""
        settings.REALTIME = {"ROOMS": {"*": {}}, **old}
        [error] = check_realtime(None)
        assert "no effect beside" in error.msg


class TestCommand:
    """`manage.py check`, which is how projects learn of all this."""

    def test_a_rule_that_can_not_be_asked_fails_it(self, settings: Settings) -> None:
        """With what to do, before anybody subscribes."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://check"])
        settings.REALTIME = {"ROOMS": {"a": {"subscribe": "nowhere.at.all"}}}
        with pytest.raises(SystemCheckError, match=r"\(realtime\.E003\).*can't be imported"):
            call_command("check")

    def test_anyone_is_told_before_a_deploy(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """And only then."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://check"])
        settings.REALTIME = {"ROOMS": {"a": {"subscribe": "anyone", "publish": "anyone"}}}
        call_command("check")
        assert "realtime." not in capsys.readouterr().err
        call_command("check", deploy=True)
        told = capsys.readouterr().err
        assert "realtime.W002" in told
        assert "realtime.W003" in told


@pytest.mark.parametrize(
    ("subscribe", "presence", "warned"),
    [
        ("anyone", "anyone", False),
        ("signed_in", "anyone", False),
        ("staff", "signed_in", False),
        ("nobody", "nobody", False),
        (f"{HERE}.authorize", f"{HERE}.authorize", False),
        ("permission:realtime.view_room", "anyone", False),
        ("signed_in", "staff", True),
        ("anyone", "nobody", True),
        ("anyone", "permission:realtime.view_room", True),
        ("permission:realtime.view_room", "staff", True),
    ],
)
def test_members_are_told_what_they_may_not_ask(
    settings: Settings, subscribe: str, presence: str, warned: bool
) -> None:
    """Who is there goes to all members, so their rule is what counts."""
    rules = {"subscribe": subscribe, "presence": presence, "presence_events": True}
    told = [(id, text) for id, text in found(settings, {"a.*": rules}) if id == "realtime.W005"]
    assert bool(told) is warned
    assert all("'a.*'" in text for _, text in told)
    rules["presence_events"] = False
    assert "realtime.W005" not in dict(found(settings, {"a.*": rules}))
