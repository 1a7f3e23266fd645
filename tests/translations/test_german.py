"""The app in German: pages, figures, what is told of troubles; and commands, which are not."""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import translation

import realtime
from realtime.management.commands import realtime as realtime_command
from realtime.templatetags import realtime_admin
from tests.realtime.admin.staff import make_staff

GERMAN = {"accept-language": "de"}


@pytest.fixture(autouse=True)
def then_english() -> Iterator[None]:
    """A request of the test client leaves its language behind."""
    with translation.override("en-us"):
        yield


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """Somebody who may look at the admin's pages, and reads German."""
    user: User = make_staff("view_room")
    client.force_login(user)
    return client


def test_gettext_reads_what_is_compiled() -> None:
    """Python's own reader finds texts, contexts and plurals."""
    folder = Path(realtime.__file__).parent / "locale"
    german = gettext.translation("django", folder, ["de"])
    assert german.gettext("Rooms") == "Räume"
    assert german.pgettext("shard", "up") == "läuft"
    assert german.ngettext("%(number)s process.", "%(number)s processes.", 2) == (
        "%(number)s Prozesse."
    )


def test_pages_of_the_admin(staff: Client) -> None:
    """The overview is in the reader's language, and its links; for others it is English."""
    page = staff.get("/admin/realtime/overviewpage/", headers=GERMAN).content.decode()
    for words in ("Übersicht", "Räume", "Verbindungen", "Probleme"):
        assert words in page
    assert "Connections" not in page
    assert "Connections" in staff.get("/admin/realtime/overviewpage/").content.decode()


def test_page_of_the_demo(client: Client) -> None:
    """The page, and the words of its scripts."""
    page = client.get("/", headers=GERMAN).content.decode()
    assert '<html lang="de">' in page
    assert "Zahlen von diesem Rechner" in page
    assert "neuer Versuch in" in client.get("/words.js", headers=GERMAN).content.decode()


def test_figures() -> None:
    """Numbers have the language's own points."""
    figures = [
        (realtime_admin.count, 12_345.0, "12,345", "12.345"),
        (realtime_admin.rate, 0.25, "0.25", "0,25"),
        (realtime_admin.size, 3.5 * 2**20, "3.5 MiB", "3,5 MiB"),
        (realtime_admin.duration_ms, 0.0012, "1.2 ms", "1,2 ms"),
        (realtime_admin.age, 3 * 86_400, "3 days", "3 d"),
        (realtime_admin.age, 0.1, "now", "jetzt"),
        (realtime_admin.count, None, "unknown", "unbekannt"),
    ]
    for show, value, english, german in figures:
        with translation.override("en"):
            assert show(value) == english
        with translation.override("de"):
            assert show(value) == german


def test_commands_stay_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of troubles by a command is English, in a site that is not."""

    def handle(**options: object) -> None:
        command.stdout.write(translation.gettext("Rooms"))

    command = SimpleNamespace(handle=handle, add_arguments=lambda parser: None, help="")
    command.uses_layer = False
    monkeypatch.setattr(realtime_command, "subcommand", lambda name: lambda: command)
    out = StringIO()
    with translation.override("de"):
        call_command("realtime", "status", stdout=out)
    assert out.getvalue() == "Rooms\n"
