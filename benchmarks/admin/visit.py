"""`python -m benchmarks.admin.visit`: asks a fresh process for the list of rooms; prints JSON.

The process has shown other pages of the admin before, so that its templates are loaded; it has not
looked at rooms. `cold` and `warm` are milliseconds, and `cold_cpu` and `warm_cpu` those of them
that the process worked; `whole` is seconds until all rooms were looked at, `grown` bytes that the
process grew by, for each room.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

import django
import psutil

WARM = 20  # visits


async def main() -> dict[str, float]:
    """Return what was measured."""
    from asgiref.sync import sync_to_async
    from django.contrib.auth import get_user_model
    from django.test import AsyncClient
    from django.test.utils import setup_test_environment

    from realtime.rooms.room_index import room_index
    from realtime.sharded_layer import sharded_layer

    setup_test_environment(debug=False)
    layer = sharded_layer()
    await layer.node()  # a worker has one
    user = await sync_to_async(get_user_model()._default_manager.get)(username="admin")
    client: Any = AsyncClient()
    await client.aforce_login(user)
    for path in ("/admin/", "/admin/realtime/room/nobody/"):
        assert (await client.get(path)).status_code == 200

    async def visit() -> tuple[float, str]:
        begun = time.perf_counter()
        answer = await client.get("/admin/realtime/room/")
        took = (time.perf_counter() - begun) * 1e3
        assert answer.status_code == 200
        return took, answer.content.decode()

    memory = psutil.Process().memory_info().rss
    begun, before = time.perf_counter(), time.process_time()
    cold, page = await visit()
    cold_cpu = (time.process_time() - before) * 1e3
    assert page.count("<tr data-key=") > 0, "the first page has rows"
    while not room_index(layer).is_whole:
        await visit()
    whole = time.perf_counter() - begun
    grown = psutil.Process().memory_info().rss - memory
    warm = statistics.median([(await visit())[0] for _ in range(WARM)])
    before = time.process_time()
    for _ in range(WARM):
        await visit()
    warm_cpu = (time.process_time() - before) * 1e3 / WARM
    found = len(room_index(layer).rooms)
    await layer.close()
    return {
        "cold": cold,
        "cold_cpu": cold_cpu,
        "warm": warm,
        "warm_cpu": warm_cpu,
        "whole": whole,
        "grown": grown / max(found, 1),
        "rooms": found,
    }


if __name__ == "__main__":
    django.setup()
    print(json.dumps(asyncio.run(main())))
