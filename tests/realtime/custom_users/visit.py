"""`python -m tests.realtime.custom_users.visit`: what a user of that project sees; prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import django

from tests.waiting import PATIENCE

PAGES = ("", "overviewpage/", "room/", "shardspage/", "nodespage/", "kafkapage/", "apikey/")


async def main() -> dict[str, Any]:
    """Return what came of it."""
    from asgiref.sync import sync_to_async
    from django.conf import settings
    from django.contrib.admin.models import LogEntry
    from django.core.management import call_command
    from django.test import AsyncClient
    from django.test.utils import setup_test_environment

    from realtime import adisconnect, apresence
    from realtime.sharded_layer import sharded_layer
    from tests.realtime.client import Client, RecordingSink
    from tests.realtime.custom_users.models import Customer

    setup_test_environment(debug=False)
    await sync_to_async(call_command)("migrate", run_syncdb=True, verbosity=0)
    ada = Customer(email="ada@example.org", is_staff=True, is_superuser=True)
    await ada.asave()
    browser = AsyncClient()
    await browser.aforce_login(ada)  # type: ignore[arg-type]  # has the default user in mind
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    found: dict[str, Any] = {"key": str(ada.pk)}
    sink = RecordingSink()
    async with Client(headers={"cookie": cookie}, sink=sink) as client:
        found["connected"] = await client.ask(1, connect={})
        await client.ask(2, subscribe={"room": "chat"})
        found["people"] = [person.person for person in (await apresence("chat")).persons]
        pages = {}
        for page in PAGES:
            answer = await browser.get(f"/admin/realtime/{page}")
            pages[page] = answer.status_code
        found["pages"] = pages
        room = await browser.get("/admin/realtime/room/chat/")
        found["room"] = room.content.decode()
        posted = {"action": "publish", "json": "1"}
        found["published"] = (await browser.post("/admin/realtime/room/chat/", posted)).status_code
        found["logged"] = [str(entry.user_id) async for entry in LogEntry.objects.all()]
        await adisconnect(ada)
        async with asyncio.timeout(PATIENCE):
            await sink.is_closed.wait()
        found["closed"] = sink.closed
    await sharded_layer().close()
    return found


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(asyncio.run(main())))
