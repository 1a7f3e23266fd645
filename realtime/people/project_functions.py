"""The project's own functions that presence calls: asynchronous ones, and others in a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from channels.db import database_sync_to_async
from django.utils.module_loading import import_string

from realtime.access.project_calls import project_call


@cache
def project_function(path: str) -> Callable[..., Awaitable[Any]]:
    """Return the function that a setting's dotted path names, as one to await.

    Raises:
        ImportError: The path leads nowhere.
        TypeError: What is there can't be called.
    """
    function = import_string(path)
    if not callable(function):
        raise TypeError(f"{path} is no function.")
    return project_call(function, _as_it_is, database_sync_to_async)


def _as_it_is(answer: Any) -> Any:
    return answer
