"""What all of the admin's pages about realtime have in common.

A page has no table behind it. It is a model without one (see `realtime/models.py`), so that the
admin lists it, and a `ModelAdmin` that looks at what is there now, instead of querying.

A page looks in one coroutine, `look`. The view calls it once, for the whole page. While the page is
open its WebSocket calls it again and again (`live_socket.py`), and renders just the `parts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, get_script_prefix, path, reverse
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from realtime.admin.admin_permissions import Permission, allowed, may
from realtime.admin.live_tickets import LiveTicket, write_ticket
from realtime.conf import conf
from realtime.operations.draining import DrainUnknown
from realtime.operations.kafka_failures import KafkaUnavailable
from shardlayer import ConfigurationError, MessageTooLarge, ScriptFailed, ShardUnavailable

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry

    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin  # takes no parameter at run time

LIVE_PATH = "ws/admin/"  # of the pages' WebSockets
LOOK_FACTOR = 3  # times CHECK_TIMEOUT that a look may take, whatever it asks one after another

Query = Mapping[str, str]
"""What the page's address says behind the question mark; the last of a parameter's values."""

Memory = MutableMapping[str, Any]
"""What a page keeps from one look to the next, while somebody has it open; at first just
`CLOSING`."""

CLOSING = "closing"
"""The key of a memory under which an open page has a list of calls that are made when it closes;
it is missing where a page is just shown once."""

Look = Callable[[Query, Memory], Awaitable[Mapping[str, Any]]]
"""Returns what a page's templates need. It names what does not answer, and does not raise it."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """What a page looks at, and what of it is shown anew.

    Attributes:
        look: Asks for what is there now.
        parts: The elements that are shown anew: the `id` of each and the template of what is in it.
        pause: Seconds between two looks; None: ADMIN_REFRESH.
    """

    look: Look
    parts: Mapping[str, str]
    pause: float | None = None


class AdminPage(_ModelAdmin):
    """One page of the admin, for staff with the permission `realtime.view_room`.

    Attributes:
        page_title: What stands above it.
        page_template: The template of the whole page. It extends `admin/realtime/base.html`.
        parts: See `LiveView`; `{% live_part "id" %}` puts one into the page.
    """

    page_title: ClassVar[str | Promise]
    page_template: ClassVar[str]
    parts: ClassVar[Mapping[str, str]] = {}

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return what is there now, for the templates. See `Look`."""
        raise NotImplementedError

    def live_view(self, name: str) -> LiveView | None:
        """Return what stands behind one of this page's tickets; None if there is none such."""
        return LiveView(look=self.look, parts=self.parts) if name == "" else None

    def get_urls(self) -> list[URLPattern]:
        """Serve this page, instead of the views that work on a table."""
        name = f"realtime_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.changelist_view), name=name)]

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Whoever may look at rooms may look at all of it."""
        return may(request.user, Permission.VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at rooms sees that there are pages."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a row: there are none."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody changes a row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody deletes a row."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the page."""
        self.require(request, Permission.VIEW)
        return self.show(
            request, self.page_template, {"title": self.page_title} | (extra_context or {})
        )

    def require(self, request: HttpRequest, permission: Permission) -> None:
        """Refuse who lacks a permission.

        Raises:
            PermissionDenied: Django answers 403.
        """
        if not may(request.user, permission):
            raise PermissionDenied

    def show(
        self,
        request: HttpRequest,
        template: str,
        context: Mapping[str, Any],
        *,
        query: Query | None = None,
        view: str = "",
        memory: Memory | None = None,
    ) -> HttpResponse:
        """Return a page: what `context` says and what its live view finds.

        Args:
            query: What to look for; the request's own if None.
            view: Which of the live views it is, see `live_view`.
            memory: What an earlier look found, if there was one.
        """
        # By this the templates' links stay in this admin site, as those of Django's own pages do.
        request.current_app = self.admin_site.name
        live = self.live_view(view)
        found: Mapping[str, Any] = {}
        asked = (
            {name: str(value) for name, value in request.GET.items()} if query is None else query
        )
        if live is not None:
            found = async_to_sync(look_in_time)(live, asked, {} if memory is None else memory)
        common = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "query": asked,
            "allowed": allowed(request.user),
            "parts": {} if live is None else live.parts,
            "page_links": page_links(request, self.admin_site.name),
            "live": None,
        }
        if live is not None and live.parts and conf().admin_refresh:
            model = str(self.opts.model_name)
            ticket = LiveTicket(
                site=self.admin_site.name,
                model=model,
                view=view,
                query=asked,
                language=get_language() or settings.LANGUAGE_CODE,
            )
            common["live"] = write_ticket(ticket)
            common["live_address"] = f"{get_script_prefix()}{LIVE_PATH}"
        return TemplateResponse(request, template, common | dict(found) | dict(context))

    def address(self, model: str, *args: str) -> str:
        """Return the address in this admin site of a model's list or, given a key, of one of it."""
        kind = "change" if args else "changelist"
        site = self.admin_site.name  # one project may have several
        return reverse(f"admin:realtime_{model}_{kind}", args=args, current_app=site)

    def has_page(self, model: str) -> bool:
        """Tell whether this admin site has a page, by its model."""
        return self.admin_site.is_registered(apps.get_model("realtime", model))

    def act(
        self,
        request: HttpRequest,
        subject: models.Model,
        deed: str,
        action: Callable[[], Result],
    ) -> Result | None:
        """Do something to `subject`, note it in the admin's log, and tell the user of it.

        The note is written first, so that nothing is done without one. It goes again if the action
        fails for certain, and says so if nobody knows. So no transaction may be around it: the view
        that calls this is `without_transaction`.

        Args:
            subject: What it is done to; it needs no table.
            deed: What is done, as the log has it: "Published 12 bytes."
            action: Does it. A ValueError, TypeError or MessageTooLarge says why it can't be done.
                Most other errors may have come when it was done.

        Returns:
            What the action returned; None also if it failed.
        """
        entry = self.log_change(request, subject, deed)
        try:
            result = action()
        except (ShardUnavailable, DrainUnknown, KafkaUnavailable) as error:
            doubt = _("%(service)s did not answer: it may or may not have been done.")
            service = "Kafka" if isinstance(error, KafkaUnavailable) else "Redis"
            _doubt(entry, doubt % {"service": service})
            unknown = _("It is unknown whether this was done.")
            messages.warning(request, f"{unknown} {error}")
            return None
        except (ConfigurationError, ScriptFailed):
            _delete(entry)
            raise
        except (ValueError, TypeError, MessageTooLarge) as error:
            _delete(entry)
            messages.error(request, str(error))
            return None
        except Exception:
            _doubt(entry, _("It ended with an error: it may or may not have been done."))
            raise
        messages.success(request, deed)
        return result


def _delete(entry: LogEntry | None) -> None:
    if entry is not None:
        entry.delete()


def _doubt(entry: LogEntry | None, words: str) -> None:
    """Have an entry say that nobody knows whether it was done."""
    if entry is not None:
        entry.change_message = f"{entry.change_message} {words}"
        entry.save(update_fields=["change_message"])


async def look_in_time(live: LiveView, query: Query, memory: Memory) -> Mapping[str, Any]:
    """Return what a page looks at, or after a while `{"unavailable": why}`: a page never hangs."""
    limit = LOOK_FACTOR * conf().check_timeout
    try:
        async with asyncio.timeout(limit):
            return await live.look(query, memory)
    except TimeoutError:
        return {
            "unavailable": _("There was no answer within %(seconds)s s.")
            % {"seconds": f"{limit:g}"}
        }
    except ShardUnavailable as error:
        return {"unavailable": str(error)}


def page_links(request: HttpRequest, site: str) -> list[tuple[str | Promise, str, bool]]:
    """Return the pages that an admin site has: title, address, and whether it is the one shown."""
    found: list[tuple[str | Promise, str, bool]] = []
    for title, model in PAGES:
        try:
            address = reverse(f"admin:realtime_{model}_changelist", current_app=site)
        except NoReverseMatch:  # this site does not have it
            continue
        found.append((title, address, request.path.startswith(address)))
    return found


PAGES = (
    (gettext_lazy("Overview"), "overviewpage"),
    (gettext_lazy("Rooms"), "room"),
    (gettext_lazy("Shards"), "shardspage"),
    (gettext_lazy("Nodes"), "nodespage"),
    (gettext_lazy("Kafka"), "kafkapage"),
)
"""The pages in the order in which they are linked, and the model of each."""
