"""Keys are made and revoked by the command and in the admin, and shown once."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from realtime.api.api_keys import digest_of
from realtime.models import ApiKey

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    """Return what `manage.py realtime apikey` prints."""
    out = StringIO()
    call_command("realtime", "apikey", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_command_makes_lists_and_revokes() -> None:
    """The key is printed once, alone, so that a script can take it."""
    text = run("create", "billing", "--room", "orders.*", "--room", "news", "--rate", "5").strip()
    kept = ApiKey.objects.get()
    assert kept.digest == digest_of(text)
    assert kept.patterns == ["orders.*", "news"]
    assert (kept.rate, kept.announces) == (5.0, False)
    listed = run("list")
    assert "billing" in listed
    assert text not in listed
    (found,) = json.loads(run("list", "--json"))
    assert found["rooms"] == ["orders.*", "news"]
    assert "digest" not in found
    assert "Revoked the key billing" in run("revoke", "billing")
    assert ApiKey.objects.get().revoked_at is not None
    with pytest.raises(CommandError, match="no valid key 'billing'"):
        run("revoke", "billing")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["empty"], "could do nothing"),
        (["wrong", "--room", "no room!~"], "matches no room"),
        (["billing", "--room", "a"], "already exists"),
        (["slow", "--room", "a", "--rate", "-1"], "greater than or equal to 0"),
    ],
)
def test_command_refuses_mistakes(words: list[str], says: str) -> None:
    """In one line, and makes nothing."""
    run("create", "billing", "--announce")
    with pytest.raises(CommandError, match=says):
        run("create", *words)
    assert ApiKey.objects.count() == 1


def test_admin_shows_a_new_key_once() -> None:
    """On the page after it was made; later pages show how it begins."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    form = {"name": "billing", "rooms": "orders.*\r\nnews", "rate": "10"}
    page = client.post("/admin/realtime/apikey/add/", form, follow=True).content.decode()
    (text,) = re.findall(r"<code>(slk_[\w-]{43})</code>", page)
    kept = ApiKey.objects.get()
    assert kept.digest == digest_of(text)
    assert kept.patterns == ["orders.*", "news"]
    again = client.get("/admin/realtime/apikey/").content.decode()
    assert text not in again
    assert kept.hint in again
    form["rate"] = "20"
    client.post(f"/admin/realtime/apikey/{kept.pk}/change/", form)
    kept.refresh_from_db()
    assert (kept.rate, kept.digest) == (20.0, digest_of(text))
    chosen = {"action": "revoke", "_selected_action": [kept.pk]}
    client.post("/admin/realtime/apikey/", chosen)
    kept.refresh_from_db()
    assert kept.revoked_at is not None


def test_admin_refuses_patterns_that_match_nothing() -> None:
    """The form says which."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    form = {"name": "billing", "rooms": "orders/*", "rate": "10"}
    page = client.post("/admin/realtime/apikey/add/", form).content.decode()
    assert "matches no room" in page
    assert not ApiKey.objects.exists()


def test_staff_without_the_permission_see_no_keys() -> None:
    """Django's permissions of the table decide."""
    client = Client()
    client.force_login(User.objects.create_user("ada", is_staff=True))
    assert client.get("/admin/realtime/apikey/").status_code == 403
