"""The rules that the documentation shows: they work, whatever a client calls a room."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.backends.base import SessionBase
from django.http import Http404, HttpRequest
from django.test import RequestFactory

from realtime.room_tokens import read_room_token
from realtime.rooms.room_settings import NAMED_RULES
from realtime.tokens import read_token

DOCS = Path(__file__).parents[3] / "docs"

Rule = Callable[..., Any]


def blocks(page: str) -> list[str]:
    """Return the pieces of Python on a page, without their indentation."""
    text = (DOCS / page).read_text()
    found = re.findall(r"^( *)```python\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def rule_on(page: str, name: str) -> Rule:
    """Return the function of that name on a page."""
    [code] = [code for code in blocks(page) if f"def {name}(" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    rule: Rule = names[name]
    return rule


@pytest.mark.django_db
@pytest.mark.parametrize("room", ["orders.x", "orders.", "orders.-1", "orders.1.2", "orders.0x1"])
def test_owner_of_an_order(room: str) -> None:
    """Only the owner gets in; a name that is no order's asks nobody and is no error."""
    owns_order = rule_on("access.md", "owns_order")
    ada, grace = User.objects.create(username="ada"), User.objects.create(username="grace")
    order = Group.objects.create(name="order")
    ada.groups.add(order)
    for user in (ada, grace):
        user.orders = user.groups  # type: ignore[attr-defined]
    assert owns_order(ada, f"orders.{order.pk}", {})
    assert not owns_order(grace, f"orders.{order.pk}", {})
    assert not owns_order(AnonymousUser(), f"orders.{order.pk}", {})
    assert not owns_order(ada, room, {})
    assert not owns_order(ada, "orders." + "9" * 90, {})


@pytest.mark.django_db
def test_member_of_a_club() -> None:
    """The example of docs/integrate.md."""
    is_member = rule_on("integrate.md", "is_member")
    ada = User.objects.create(username="ada")
    ada.groups.add(Group.objects.create(name="clubs.chess"))

    class Clubs:
        def filter(self, room: str) -> Any:
            return ada.groups.filter(name=room)

    ada.clubs = Clubs()  # type: ignore[attr-defined]
    assert is_member(ada, "clubs.chess", {})
    assert not is_member(ada, "clubs.go", {})
    assert not is_member(AnonymousUser(), "clubs.chess", {})


def request_of(user: Any) -> HttpRequest:
    """Return a request of that user."""
    request = RequestFactory().get("/token/")
    request.user = user
    request.session = SessionBase("k" * 32)
    return request


@pytest.mark.django_db
def test_views_that_hand_out_tokens() -> None:
    """They serve who is signed in, what is theirs, and nobody else."""
    ada, grace = User.objects.create(username="ada"), User.objects.create(username="grace")
    order = Group.objects.create(name="order")
    ada.groups.add(order)
    for user in (ada, grace):
        user.orders = user.groups  # type: ignore[attr-defined]
    sign_in, sign = rule_on("integrate.md", "token"), rule_on("access.md", "order_token")
    assert read_token(json.loads(sign_in(request_of(ada)).content)["token"]).user_id == str(ada.pk)
    for view, more in ((sign_in, ()), (sign, (order.pk,))):
        assert view(request_of(AnonymousUser()), *more).status_code == 302
    grant = read_room_token(f"orders.{order.pk}", sign(request_of(ada), order.pk).content.decode())
    assert grant.bearer is not None
    assert grant.bearer.user_id == str(ada.pk)
    with pytest.raises(Http404):
        sign(request_of(grace), order.pk)


def test_each_named_rule_is_explained() -> None:
    """In the table of docs/access.md."""
    text = (DOCS / "access.md").read_text()
    for rule in NAMED_RULES:
        assert f'| `"{rule}"` |' in text
