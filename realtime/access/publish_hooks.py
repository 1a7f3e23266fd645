"""What a project does to the publications of clients before they are published.

    def clean(user, room, data, claims):
        if len(data["text"]) > 500:
            raise ClientRefused("A message has 500 characters at most.")
        return {"text": data["text"], "from": user.pk}

The publish rule of the room was asked before. What the function returns is published in place of
what the client sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.utils.module_loading import import_string

from realtime.access.anonymous import User

PublishHook = Callable[[User, str, Any, Mapping[str, Any]], Awaitable[Any]]
"""Takes the user, the room, the data and the claims of a JWT; returns what is published."""


def publish_hook(path: str) -> PublishHook:
    """Return the function at a dotted path, as one to await; a plain one runs in Django's thread.

    Raises:
        ImportError: The path leads nowhere.
        TypeError: What is there is no function that takes user, room, data and claims.
    """
    function = import_string(path)
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"{function!r} is no function.")
    try:
        inspect.signature(function).bind(None, "", None, {})
    except TypeError as error:
        raise TypeError(f"it must take (user, room, data, claims): {error}.") from error
    except ValueError:  # it has no signature to look at, as some that are written in C
        pass
    is_asynchronous = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)
    call = function if is_asynchronous else sync_to_async(function)

    async def ask(user: User, room: str, data: Any, claims: Mapping[str, Any]) -> Any:
        answer = await call(user, room, data, claims)
        if inspect.isawaitable(answer):  # of a plain function that a decorator made asynchronous
            answer = await answer
        if answer is None:
            raise TypeError(f"{path} returned None: return the data, or raise ClientRefused.")
        return answer

    return ask
