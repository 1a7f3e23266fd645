"""The address of the admin's WebSockets, whether or not the project has the admin."""

from __future__ import annotations

from django.apps import apps

from realtime.clients.gateway import refuse
from realtime.clients.queued_sink import Send
from realtime.consumers import Receive, Scope


async def admin_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve an open page of the admin; refuse it with 403 where there is no admin."""
    if not apps.is_installed("django.contrib.admin"):
        await refuse(receive, send, "this project has no admin")
        return
    from realtime.admin.live_socket import live_application  # whose import needs the admin

    await live_application(scope, receive, send)
