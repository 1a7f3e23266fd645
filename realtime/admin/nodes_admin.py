"""The admin's Nodes page: the processes of all machines, and having one drain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime.admin.admin_page import AdminPage, Memory, Query
from realtime.admin.admin_permissions import Permission
from realtime.models import NodesPage
from realtime.operations import CannotDrain, DrainAnswer, DrainUnknown, NodeStatus, anodes, drain
from realtime.view_decorators import without_transaction

MAX_ID = 200  # characters of a node's id


class NodesAdmin(AdminPage):
    """The processes that tell of themselves."""

    page_title = gettext_lazy("Nodes")
    page_template = "admin/realtime/nodes.html"
    parts: ClassVar[Mapping[str, str]] = {"nodes": "admin/realtime/parts/nodes.html"}

    def get_urls(self) -> list[URLPattern]:
        """Serve the page, and what has a node drain."""
        view = self.admin_site.admin_view(self.drain_view)
        return [
            *super().get_urls(),
            path("<str:key>/drain/", view, name="realtime_nodespage_drain"),
        ]

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return the processes."""
        found = await anodes()
        return {"found": found, "nodes": [(quote(node.id), node) for node in found.nodes]}

    @without_transaction  # the note of what is done stays, whatever comes behind it
    def drain_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Ask whether a node shall drain, and have it do so."""
        self.require(request, Permission.DRAIN)
        node_id = unquote(key)[:MAX_ID]
        if request.method == "POST":
            self._drain(request, node_id)
            return redirect(self.address("nodespage"))
        found = async_to_sync(anodes)()
        context = {
            "title": _("Drain a node"),
            "node_id": node_id,
            "node": next((node for node in found.nodes if node.id == node_id), None),
            "found": found,
        }
        return self.show(request, "admin/realtime/drain.html", context, view="drain")

    def _drain(self, request: HttpRequest, node_id: str) -> None:
        deed = _("Told the node %(node)s to drain.") % {"node": node_id}
        name = str(request.user.get_username())
        answer = self.act(request, NodesPage(name=node_id), deed, partial(_drain, node_id, name))
        if answer is not None:
            messages.info(request, _told(answer))


def _drain(node_id: str, by: str) -> DrainAnswer:
    try:
        return drain(node_id, by=by)
    except DrainUnknown:
        raise  # which `act` notes as such
    except CannotDrain as error:
        raise ValueError(str(error)) from error  # what `act` tells the user


def _told(answer: DrainAnswer) -> str:
    name = _name(answer.node)
    if answer.is_draining:
        return _("%(node)s drains: it sends its clients away, and ends.") % {"node": name}
    return _("%(node)s was told to drain, but has not confirmed it yet.") % {"node": name}


def _name(node: NodeStatus) -> str:
    return f"{node.role} {node.host}:{node.pid}"
