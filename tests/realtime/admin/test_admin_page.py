"""What all pages of the admin have in common."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings

from realtime.admin import register_pages
from realtime.admin.admin_page import AdminPage, LiveView, look_in_time
from realtime.admin.admin_permissions import Permission, allowed, may
from realtime.models import NodesPage, Room
from shardlayer import ScriptFailed, ShardUnavailable
from tests.realtime.admin.staff import body, make_staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of_admin")]


class PageOfNothing(AdminPage):
    """A page for tests."""

    page_title = "Nothing"


@pytest.fixture
def page() -> PageOfNothing:
    """A page in a site of its own."""
    return PageOfNothing(NodesPage, admin.AdminSite(name="tests"))


@pytest.fixture
def request_of_staff(rf: RequestFactory) -> HttpRequest:
    """What somebody of the staff sends."""
    request = rf.post("/")
    request.user = make_staff("drain_node", name="operator")
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    return request


def test_permissions_are_djangos(rf: RequestFactory) -> None:
    """Each permission is one that `migrate` makes; nobody has one without being given it."""
    user = make_staff("drain_node")
    assert may(user, Permission.DRAIN)
    assert [name for name, may_do in allowed(user).items() if may_do] == ["drain"]
    assert set(allowed(user)) == {"view", "publish", "disconnect", "drain", "replay"}
    assert set(allowed(AnonymousUser()).values()) == {False}
    everything = User.objects.create_superuser("root")
    assert set(allowed(everything).values()) == {True}


def test_user_model_without_permissions_has_none() -> None:
    """A custom user model need not have `has_perm`."""

    class Bare:
        pass

    assert not may(Bare(), Permission.VIEW)  # type: ignore[arg-type]


def test_what_is_done_is_in_the_log(page: PageOfNothing, request_of_staff: HttpRequest) -> None:
    """An action leaves an entry of who did what to what, and a message."""
    assert page.act(request_of_staff, NodesPage(name="node-1"), "Drained.", lambda: 7) == 7
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message, entry.user) == (
        "node-1",
        "Drained.",
        request_of_staff.user,
    )
    assert messages_of(request_of_staff) == [("success", "Drained.")]


@pytest.mark.parametrize("error", [ValueError("No such node."), TypeError("No node at all.")])
def test_what_can_not_be_done_is_not_in_the_log(
    page: PageOfNothing, request_of_staff: HttpRequest, error: Exception
) -> None:
    """What was refused did not happen, and the user is told why."""

    def refuse() -> None:
        raise error

    page.act(request_of_staff, NodesPage(name="node-1"), "Drained.", refuse)
    assert not LogEntry.objects.exists()
    assert messages_of(request_of_staff) == [("error", str(error))]


def test_fault_is_in_the_log_as_such(page: PageOfNothing, request_of_staff: HttpRequest) -> None:
    """An error of the program is not hidden, and may have come when it was done."""

    def break_down() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        page.act(request_of_staff, NodesPage(name="node-1"), "Drained.", break_down)
    [entry] = LogEntry.objects.all()
    assert entry.change_message == (
        "Drained. It ended with an error: it may or may not have been done."
    )


def test_what_redis_refuses_for_certain_is_not_in_the_log(
    page: PageOfNothing, request_of_staff: HttpRequest
) -> None:
    """It was not done, which the server said."""
    refused = ScriptFailed(
        script="publish", names=["a"], shard=0, server="redis", reason="WRONGTYPE"
    )

    def refuse() -> None:
        raise refused

    with pytest.raises(ScriptFailed):
        page.act(request_of_staff, Room(name="a"), "Published.", refuse)
    assert not LogEntry.objects.exists()


def test_what_may_have_happened_is_in_the_log_as_such(
    page: PageOfNothing, request_of_staff: HttpRequest
) -> None:
    """When Redis does not answer nobody knows, and the log says that."""

    def vanish() -> None:
        raise ShardUnavailable(shard=3, server="redis:6379", reason="timed out")

    page.act(request_of_staff, Room(name="chat"), "Published.", vanish)
    assert "may or may not have been done" in LogEntry.objects.get().change_message
    [(level, text)] = messages_of(request_of_staff)
    assert level == "warning"
    assert "It is unknown whether this was done" in text


def messages_of(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what the user is told."""
    return [(each.level_tag, str(each)) for each in request._messages]  # type: ignore[attr-defined]


async def test_look_that_hangs_ends(settings: Settings) -> None:
    """A page never waits for long."""
    settings.REALTIME = {"CHECK_TIMEOUT": 0.01}

    async def hang(query: Any, memory: Any) -> Any:
        await asyncio.Event().wait()

    found = await look_in_time(LiveView(look=hang, parts={}), {}, {})
    assert found == {"unavailable": "There was no answer within 0.03 s."}


def test_pages_are_linked_within_their_site(staff: Client, settings: Settings) -> None:
    """Every page has the others as tabs, of its own admin site, and says which one it is."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    tabs = re.search(
        r'<nav class="realtime-tabs".*?</nav>', body(staff, "/second/realtime/room/"), re.S
    )
    assert tabs is not None
    assert '<a href="/second/realtime/room/" aria-current="page">Rooms</a>' in tabs[0]
    assert "/admin/" not in tabs[0]


def test_site_without_the_pages_is_left_alone() -> None:
    """Only `register_pages` puts them on a site of the project's own."""
    site = admin.AdminSite(name="own")
    assert not site.is_registered(Room)
    register_pages(site)
    assert site.is_registered(Room)


def test_page_that_does_not_refresh_itself_has_no_script(staff: Client, settings: Settings) -> None:
    """With ADMIN_REFRESH 0 there is no ticket and no script."""
    assert "data-live-ticket" in body(staff, "/admin/realtime/room/")
    settings.REALTIME = {"ADMIN_REFRESH": 0}
    page = body(staff, "/admin/realtime/room/")
    assert "data-live-ticket" not in page
    assert "live.js" not in page


def test_pages_need_no_inline_script_or_style(staff: Client) -> None:
    """They work under a Content-Security-Policy that forbids these."""
    page = body(staff, "/admin/realtime/room/")
    content = page[page.index('id="content-main"') : page.index("END Content")]
    assert "<script" not in content
    assert "style=" not in content
    assert " on" not in re.sub(r">[^<]*<", "><", content).replace(" only", "")
