"""The project's own functions that presence calls: asynchronous ones, and others in a thread."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from django.utils.module_loading import import_string


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
    if iscoroutinefunction(function):
        return function  # type: ignore[no-any-return]
    in_thread = database_sync_to_async(function)

    async def call(*arguments: Any) -> Any:
        answer = await in_thread(*arguments)
        return await answer if inspect.isawaitable(answer) else answer

    return call
