"""What a project's functions return, and raise, beside True and False."""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
import re
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.identity import Identity
from realtime.access.jwt_tokens import _key_by
from realtime.access.permission_rules import rule_of
from realtime.access.project_calls import without_stop_iteration
from realtime.access.publish_hooks import publish_hook
from realtime.access.rule_answers import is_yes
from realtime.clients import failures
from realtime.people.people_fields import fields_of
from realtime.people.project_functions import project_function
from realtime.people.user_names import user_names
from shardlayer import ErrorLog
from tests.realtime.access.test_client_permissions import permissions
from tests.realtime.client import Client
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE

HERE = __name__


class Role(Enum):
    """A choice, which is true whatever it says."""

    NOBODY = 0


class Owners:
    """What a project has its rules in."""

    def may(self) -> bool:
        """Let nobody in."""
        return False


async def refuses() -> bool:
    """Let nobody in."""
    return False


async def refuses_later() -> Any:
    """Return what has to be awaited once more."""
    return refuses()


async def forgot_await(user: Any, room: str, claims: Any) -> Any:
    """Return a coroutine."""
    return refuses()


async def forgot_await_twice(user: Any, room: str, claims: Any) -> Any:
    """Return a coroutine that returns one."""
    return refuses_later()


def forgot_await_in_thread(user: Any, room: str, claims: Any) -> Any:
    """Return a coroutine that returns one, where no loop runs."""
    return refuses_later()


async def task(user: Any, room: str, claims: Any) -> Any:
    """Return a task."""
    return asyncio.ensure_future(refuses())


def generator(user: Any, room: str, claims: Any) -> Any:
    """Return what asks nobody until it is iterated."""
    return (each for each in [room] if not each)


async def generator_beside(user: Any, room: str, claims: Any) -> Any:
    """Do the same in the loop."""
    return (each for each in [room] if not each)


def asynchronous_generator(user: Any, room: str, claims: Any) -> Any:
    """Return an asynchronous one."""

    async def rooms() -> AsyncIterator[str]:
        yield room

    return rooms()


def method(user: Any, room: str, claims: Any) -> Any:
    """Forget to call it."""
    return Owners().may


def yields(user: Any, room: str, claims: Any) -> Iterator[bool]:
    """Yield in place of returning."""
    yield False


async def yields_beside(user: Any, room: str, claims: Any) -> AsyncIterator[bool]:
    """Do the same in the loop."""
    yield False


def finds_nothing(user: Any, room: str, *more: Any) -> Any:
    """Take the first of what may be empty."""
    return next(each for each in [room] if not each)


async def finds_nothing_beside(user: Any, room: str, *more: Any) -> Any:
    """Do the same in the loop."""
    return next(each for each in [room] if not each)


def finds_no_info(*arguments: Any) -> Any:
    """Do the same for people."""
    return next(iter(()))


async def forgot_to_await_info(*arguments: Any) -> Any:
    """Return a coroutine for people."""
    return refuses_later()


async def authorize(user: Any, action: str, room: str) -> Any:
    """Be the old setting's function, and forget to await."""
    return refuses()


class OfAnotherKind:
    """A user of a project's own, whose methods are no properties."""

    is_authenticated = True
    is_active = True
    pk = 1

    def is_staff(self) -> bool:
        """Be none."""
        return False

    async def has_perm(self, permission: str) -> bool:
        """Have none."""
        return False


AWAITED = ["forgot_await", "forgot_await_twice", "forgot_await_in_thread", "task"]
NO_ANSWERS = ["generator", "generator_beside", "asynchronous_generator", "method"]


@pytest.mark.parametrize("rule", AWAITED)
async def test_awaits_until_there_is_an_answer(settings: Settings, rule: str) -> None:
    """A forgotten `await` lets nobody in: what is returned is awaited in its place."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.{rule}"}}}
    assert await permissions(AnonymousUser()).allows("subscribe", "a") is False


@pytest.mark.parametrize("rule", NO_ANSWERS)
async def test_no_answer_lets_nobody_in(settings: Settings, rule: str) -> None:
    """What is true whatever the rule has found: the rule has failed."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.{rule}"}}}
    with pytest.raises(TypeError, match="no answer"):
        await permissions(AnonymousUser()).allows("subscribe", "a")


@pytest.mark.usefixtures("memory_layer")
async def test_no_answer_is_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a rule that raises: the client gets `internal`, the log says what was returned."""
    log = ErrorLog(logging.getLogger("realtime.clients.failures"))  # of a minute without lines
    monkeypatch.setattr(failures, "log_failure", log)
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.generator"}}}
    async with Client(more={"user": AnonymousUser()}) as client:
        assert (await client.ask(1, subscribe={"room": "a"}))["error"]["code"] == "internal"
    assert "return True or False" in caplog.text


@pytest.mark.parametrize("rule", ["yields", "yields_beside"])
def test_generators_are_no_rules(rule: str) -> None:
    """Nor hooks: which is said before anybody is asked."""
    with pytest.raises(TypeError, match="yields"):
        rule_of(f"{HERE}.{rule}")


async def test_old_setting(settings: Settings) -> None:
    """AUTHORIZE is awaited as long."""
    settings.REALTIME = {"AUTHORIZE": f"{HERE}.authorize"}
    with pytest.warns(DeprecationWarning, match="ROOMS"):
        assert await permissions(AnonymousUser()).allows("subscribe", "a") is False


@pytest.mark.parametrize("rule", ["staff", "permission:realtime.view_room"])
async def test_users_of_a_projects_own(settings: Settings, rule: str) -> None:
    """A method where Django has a property, or a coroutine, lets nobody in."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule}}}
    of_another_kind = Permissions(Identity({"headers": [], "user": OfAnotherKind()}))
    if rule == "staff":
        with pytest.raises(TypeError, match="no answer"):
            await of_another_kind.allows("subscribe", "a")
    else:
        assert await of_another_kind.allows("subscribe", "a") is False


@pytest.mark.parametrize(
    "answer", [False, None, 0, 0.0, Decimal(0), "", b"", (), [], {}, set(), Q()], ids=repr
)
def test_what_is_false_is_a_no(answer: object) -> None:
    """Whatever it is."""
    assert is_yes(answer) is False


@pytest.mark.parametrize(
    "answer",
    [
        *(True, 1, 0.5, Decimal(1), [1], {1}, {"a": 1}, (1,), range(2)),
        User(username="ada"),
        SimpleLazyObject(lambda: User(username="ada")),
        re.fullmatch("a", "a"),
        HTTPStatus.OK,
    ],
    ids=repr,
)
def test_yes(answer: object) -> None:
    """What can be false, a row, and a match."""
    assert is_yes(answer) is True


@pytest.mark.parametrize(
    "answer",
    [
        *("nobody", b"no", gettext_lazy("No.")),
        *(Owners, Owners(), Owners().may, math, len, int, Role, Role.NOBODY),
        *(map(str, ()), iter(()), object(), ...),
        *(PermissionDenied("No."), PermissionDenied, HttpResponse("No.", status=403)),
        *(AnonymousUser(), SimpleLazyObject(AnonymousUser)),
        *(Q(pk=1), User.objects, datetime.timezone),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_what_is_always_true_is_no_answer(answer: object) -> None:
    """It says nothing of the client, or the opposite: a refusal that is returned, not raised."""
    with pytest.raises(TypeError, match="return True or False"):
        is_yes(answer)


@pytest.mark.parametrize("rule", ["finds_nothing", "finds_nothing_beside"])
async def test_rule_that_raises_stop_iteration(settings: Settings, rule: str) -> None:
    """As every exception of a rule does, it ends the question: asyncio can't hand it on."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.{rule}"}}}
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await permissions(AnonymousUser()).allows("subscribe", "a")


@pytest.mark.usefixtures("memory_layer")
@pytest.mark.parametrize("hook", ["finds_nothing", "finds_nothing_beside"])
async def test_hook_that_raises_stop_iteration(settings: Settings, hook: str) -> None:
    """It refuses the publication, and the connection goes on."""
    rules = {"subscribe": "anyone", "publish": "anyone", "on_publish": f"{HERE}.{hook}"}
    settings.REALTIME = {"ROOMS": {"*": rules}}
    async with Client(more={"user": AnonymousUser()}) as client:
        answer = await client.ask(1, publish={"room": "a", "data": 1})
        assert answer["error"]["code"] == "internal"
        assert "pong" in await client.ask(2, ping={})


@pytest.mark.parametrize("hook", ["forgot_await_twice", "generator_beside", "method"])
@pytest.mark.usefixtures("memory_layer")
async def test_hook_without_data(settings: Settings, hook: str) -> None:
    """What has no JSON form is not published; what has to be awaited is awaited."""
    rules = {"subscribe": "anyone", "publish": "anyone", "on_publish": f"{HERE}.hook_{hook}"}
    settings.REALTIME = {"ROOMS": {"*": rules}}
    async with Client(more={"user": AnonymousUser()}) as client:
        await client.ask(1, subscribe={"room": "a"})
        answer = await client.ask(2, publish={"room": "a", "data": 1})
        if hook == "forgot_await_twice":  # either may come first
            messages = [answer, await client.receive()]
            assert any("published" in each for each in messages)
            assert any(each.get("data") is False for each in messages)
        else:
            assert answer["error"]["code"] == "internal"


async def hook_forgot_await_twice(user: Any, room: str, data: Any, claims: Any) -> Any:
    """Return a coroutine that returns one."""
    return refuses_later()


async def hook_generator_beside(user: Any, room: str, data: Any, claims: Any) -> Any:
    """Return what asks nobody until it is iterated."""
    return (each for each in [room] if not each)


async def hook_method(user: Any, room: str, data: Any, claims: Any) -> Any:
    """Forget to call it."""
    return Owners().may


def hook_yields(user: Any, room: str, data: Any, claims: Any) -> Iterator[Any]:
    """Yield in place of returning."""
    yield data


def test_generators_are_no_hooks() -> None:
    """What they yield would not be published."""
    with pytest.raises(TypeError, match="yields"):
        publish_hook(f"{HERE}.hook_yields")


async def test_functions_for_people(transactional_db: None, settings: Settings) -> None:
    """PRESENCE_INFO and PRESENCE_FETCH end in time, and are awaited as long as it takes."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await project_function(f"{HERE}.finds_no_info")()
        assert await project_function(f"{HERE}.forgot_to_await_info")() is False
        settings.REALTIME = {"PRESENCE_FETCH": f"{HERE}.finds_no_info"}
        assert await fields_of(["u7"]) == {}


def test_stop_iteration_alone_is_changed() -> None:
    """All else a function raises or returns comes through."""

    def echo(value: Any, *, fails: bool = False) -> Any:
        if fails:
            raise value
        return value

    call = without_stop_iteration(echo)
    assert call(7) == 7
    with pytest.raises(KeyError):
        call(KeyError(), fails=True)
    with pytest.raises(RuntimeError, match="StopIteration"):
        call(StopIteration(), fails=True)


@pytest.mark.parametrize("asks", ["names", "key"])
async def test_user_model_that_raises_stop_iteration(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    """Whoever asks for its names, or by a field of it, is answered."""
    ada = await User.objects.acreate(username="ada")
    method = "get_username" if asks == "names" else "value_to_string"
    monkeypatch.setattr(User if asks == "names" else type(User._meta.pk), method, finds_no_info)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await (user_names([str(ada.pk)]) if asks == "names" else _key_by("pk", ada.pk))
    end_queries()


@pytest.mark.parametrize("fails", [True, False])
async def test_sessions_backend_that_raises_stop_iteration(
    transactional_db: None, settings: Settings, memory_layer: Any, fails: bool
) -> None:
    """A session store of a project's own: whoever comes is answered, and others beside them."""
    settings.SESSION_ENGINE = "tests.realtime.access.stopping_sessions"
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": "signed_in"}}}
    key = "stops" if fails else "is-nobodys"
    async with Client(headers={"Cookie": f"sessionid={key}"}) as client:
        error = (await client.ask(1, subscribe={"room": "a"}))["error"]
        assert error["code"] == ("internal" if fails else "forbidden")
        assert "pong" in await client.ask(2, ping={})
    end_queries()
