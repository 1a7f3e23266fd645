"""Changes as HTML, and which rooms may carry them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template
from django.template.exceptions import TemplateDoesNotExist
from pytest_django import Settings

from realtime.html_changes import html_change, require_trusted
from realtime.live_rooms import LiveRoom
from shardlayer import Position
from tests.realtime.live_models.test_live_models import TEMPLATES

ROOM = LiveRoom(room="orders", position=Position(offset=1, epoch="e"))
CHAT = LiveRoom(room="chat.lobby", position=None)


@pytest.fixture(autouse=True)
def templates(settings: Settings) -> None:
    """A folder of templates."""
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [engine | {"DIRS": [TEMPLATES]}]


def test_a_change_is_rendered_now() -> None:
    """Escaped, with the id for its element."""
    change = html_change("live/_group.html", {"group": {"name": "<i>"}}, id="group-1")
    assert change == {
        "swap": "append",
        "id": "group-1",
        "html": '<li id="group-1">&lt;i&gt;</li>\n',
    }
    assert html_change(None, swap="remove", id="group-1") == {"swap": "remove", "id": "group-1"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"template": "live/_group.html", "swap": "outer"}, "append, prepend"),
        ({"template": "live/_group.html", "swap": "replace"}, "id"),
        ({"template": None, "swap": "remove"}, "id"),
        ({"template": "live/_group.html", "id": "a b"}, "digits"),
        ({"template": "live/_group.html", "id": ""}, "digits"),
        ({"template": None, "id": "a"}, "template"),
        ({"template": "live/_group.html", "swap": "remove", "id": "a"}, "template"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    """With words that say why."""
    with pytest.raises(ValueError, match=words):
        html_change(**given)


def test_a_template_that_is_missing_is_djangos_error() -> None:
    """As in any view."""
    with pytest.raises(TemplateDoesNotExist):
        html_change("live/_missing.html")


def test_pages_take_html_only_from_rooms_that_clients_cant_publish_to() -> None:
    """Else one client would write into the pages of all others."""
    tag = Template("{% load realtime %}{% realtime_room room html=True %}")
    html = tag.render(Context({"room": ROOM}))
    assert html == 'data-room="orders" data-offset="1" data-epoch="e" data-html'
    with pytest.raises(ImproperlyConfigured, match=r"publish to chat\.lobby"):
        tag.render(Context({"room": CHAT}))
    with pytest.raises(ImproperlyConfigured, match=r"publish to chat\.lobby"):
        require_trusted("chat.lobby")
