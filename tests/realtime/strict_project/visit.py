"""`python -m tests.realtime.strict_project.visit`: what machines and staff see; prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import django

MACHINE_PAGES = ("/health", "/health/ready", "/health/live", "/metrics", "/api/openapi.json")
REQUESTS = {
    "publish": {"room": "orders", "data": 1},
    "announce": {"data": 1},
    "batch": {"items": [{"room": "orders", "data": 2}]},
}


def _told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("Cache-Control", "")


def machines(key: str) -> dict[str, Any]:
    """Return what each address of ours answers, without a session, twice."""
    from django.test import Client

    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    found: dict[str, Any] = {}
    for path in MACHINE_PAGES:
        found[path] = [_told(client.get(path)) for _ in "12"]
    for name, body in REQUESTS.items():
        answer = client.post(
            f"/api/{name}",
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        found[name] = [_told(answer)]
    return found


async def machines_under_asgi(key: str) -> dict[str, Any]:
    """Do the same on Django's other handler."""
    from django.test import AsyncClient

    client = AsyncClient(enforce_csrf_checks=True, raise_request_exception=False)
    found: dict[str, Any] = {}
    for path in MACHINE_PAGES:
        found[path] = [_told(await client.get(path)) for _ in "12"]
    for name, body in REQUESTS.items():
        answer = await client.post(
            f"/api/{name}",
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        found[name] = [_told(answer)]
    return found


def staff() -> dict[str, Any]:
    """Return whether a transaction was open when an action of the admin was noted."""
    from django.contrib.admin.models import LogEntry
    from django.db import transaction
    from django.db.models.signals import post_save
    from django.test import Client

    from tests.realtime.custom_users.models import Customer

    ada = Customer(email="ada@example.org", is_staff=True, is_superuser=True)
    ada.save()
    browser = Client()
    browser.force_login(ada)  # type: ignore[arg-type]  # has the default user in mind
    open_at: list[bool] = []

    def note(**_: Any) -> None:
        open_at.append(transaction.get_connection().in_atomic_block)

    post_save.connect(note, sender=LogEntry, weak=False)
    posts: tuple[tuple[str, dict[str, str]], ...] = (
        ("/admin/realtime/room/orders/", {"action": "publish", "json": "1"}),
        ("/admin/realtime/nodespage/nobody/drain/", {}),
        (
            "/admin/realtime/kafkapage/replay/",
            {"topic": "no.dlq", "partition": "0", "offset": "0"},
        ),
    )
    return {
        "posted": [browser.post(path, data).status_code for path, data in posts],
        "open": open_at,
        "pages": {
            name: browser.get(f"/admin/realtime/{name}").status_code
            for name in ("overviewpage/", "room/", "room/orders/", "nodespage/", "apikey/")
        },
        "logged": LogEntry.objects.count(),
    }


def main() -> dict[str, Any]:
    """Return what came of it."""
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import setup_test_environment

    from realtime.api.api_keys import make_key

    setup_test_environment(debug=False)
    call_command("migrate", run_syncdb=True, verbosity=0)
    key, text = make_key("a service", ["*"], announces=True)
    key.save()
    stranger = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return {
        "own": {
            "page": stranger.get("/page").status_code,
            "visits": [stranger.get("/visits").content.decode() for _ in "12"],
        },
        "wsgi": machines(text),
        "asgi": asyncio.run(machines_under_asgi(text)),
        "staff": staff(),
    }


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(main()))
