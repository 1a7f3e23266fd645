"""What the staff may do to a room: from the admin's page of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from realtime.admin.admin_page import AdminPage
from realtime.admin.admin_permissions import Permission
from realtime.connections import disconnect, unsubscribe
from realtime.models import Room
from realtime.operations import disconnect_client
from realtime.rooms.room_names import require_open_room
from realtime.sending import announce, publish
from realtime.sharded_layer import sharded_layer
from realtime.templatetags.realtime_admin import count

MAX_KEY = 255  # characters of a user's primary key


class PublishForm(forms.Form):
    """What to publish: JSON, as the browser typed it."""

    json = forms.CharField(
        label="JSON",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy('Such as {"text": "hello"}, or "hello", or 7.'),
    )

    def clean_json(self) -> object:
        """Return what the text says; refuse what is no JSON, and say where."""
        try:
            value: object = orjson.loads(self.cleaned_data["json"])
            orjson.dumps(value)
        except orjson.JSONDecodeError as error:
            raise forms.ValidationError(
                _("That is not JSON: %(error)s.") % {"error": error}
            ) from error
        except orjson.JSONEncodeError as error:  # more is read than is written
            raise forms.ValidationError(_("That is nested too deeply.")) from error
        return value


class PersonForm(forms.Form):
    """Whom it concerns: the primary key of a user, who need not exist any more."""

    user = forms.CharField(max_length=MAX_KEY)


class ConnectionForm(forms.Form):
    """Which connection it concerns, whoever is on it."""

    connection = forms.CharField(max_length=MAX_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that is about to be done.

    Attributes:
        text: As the admin's log has it.
        do: Does it.
    """

    text: str
    do: Callable[[], object]


PERMISSIONS = {
    "publish": Permission.PUBLISH,
    "announce": Permission.PUBLISH,
    "clear": Permission.PUBLISH,
    "put_out": Permission.DISCONNECT,
    "disconnect": Permission.DISCONNECT,
    "close": Permission.DISCONNECT,
}
"""What may be done to a room, and who may do it."""


def do_to_room(page: AdminPage, request: HttpRequest, room: str) -> forms.Form | None:
    """Do what a POST asks for; return the form if something in it is wrong.

    Raises:
        PermissionDenied: The user may not do that, or there is no such thing to do.
    """
    action = request.POST.get("action", "")
    page.require(request, Permission.VIEW)
    if action not in PERMISSIONS:
        raise PermissionDenied
    page.require(request, PERMISSIONS[action])
    form: forms.Form | None = None
    if action in ("publish", "announce"):
        form = PublishForm(request.POST)
    elif action in ("put_out", "disconnect"):
        form = PersonForm(request.POST)
    elif action == "close":
        form = ConnectionForm(request.POST)
    if form is not None and not form.is_valid():
        return form
    deed = _deed(action, room, form, by=str(request.user.get_username()))
    page.act(request, Room(name=room), deed.text, deed.do)
    return None


def _deed(action: str, room: str, form: forms.Form | None, *, by: str) -> Deed:
    said = {} if form is None else form.cleaned_data
    size = len(orjson.dumps(said["json"])) if "json" in said else 0
    facts = {**said, "size": count(size), "room": room}
    match action:
        case "publish":
            return Deed(
                text=ngettext(
                    "Published %(size)s byte to %(room)s.",
                    "Published %(size)s bytes to %(room)s.",
                    size,
                )
                % facts,
                do=lambda: publish(room, said["json"]),
            )
        case "announce":
            return Deed(
                text=ngettext(
                    "Announced %(size)s byte to everybody.",
                    "Announced %(size)s bytes to everybody.",
                    size,
                )
                % facts,
                do=lambda: announce(said["json"]),
            )
        case "put_out":
            return Deed(
                text=_("Put user %(user)s out of %(room)s.") % facts,
                do=lambda: unsubscribe(said["user"], room),
            )
        case "disconnect":
            return Deed(
                text=_("Disconnected user %(user)s everywhere.") % facts,
                do=lambda: disconnect(said["user"]),
            )
        case "close":
            return Deed(
                text=_("Told all workers to close the connection %(connection)s.") % facts,
                do=lambda: disconnect_client(said["connection"], by=by),
            )
        case _:
            return Deed(
                text=_("Cleared the history of %(room)s.") % facts,
                do=lambda: _clear_history(room),
            )


def _clear_history(room: str) -> None:
    require_open_room(room)  # else what was issued to who is signed out would count again
    layer = sharded_layer()
    layer.wait_for(lambda: layer.clear_history(room))
