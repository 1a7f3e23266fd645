"""A task that goes on when its event loop winds up.

`asyncio.run` and `async_to_sync` cancel all tasks of a loop at its end, and what a task has just
taken from a server is lost then. An unlisted task is not among those. It must be short, and whoever
began it must wait for it before the loop is closed.

asyncio documents the function that takes a task off its list, under "Extending", though its name is
private; read in Python 3.11 to 3.14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def unlisted_task(work: Coroutine[Any, Any, Result], *, name: str) -> asyncio.Task[Result]:
    """Begin a task of the running loop that `asyncio.all_tasks` does not return.

    The caller has to hold it while it runs.
    """
    task = asyncio.create_task(work, name=name)
    asyncio.tasks._unregister_task(task)
    return task
