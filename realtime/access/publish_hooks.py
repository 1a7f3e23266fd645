"""What a project does to the publications of clients before they are published.

    def clean(user, room, data, claims):
        if len(data["text"]) > 500:
            raise ClientRefused("A message has 500 characters at most.")
        return {"text": data["text"], "from": user.pk}

The publish rule of the room was asked before. What the function returns is published in place of
what the client sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.utils.module_loading import import_string

from realtime.access.anonymous import User
from realtime.access.project_calls import project_call, require_function

PublishHook = Callable[[User, str, Any, Mapping[str, Any]], Awaitable[Any]]
"""Takes the user, the room, the data and the claims of a JWT; returns what is published."""


def publish_hook(path: str) -> PublishHook:
    """Return the function at a dotted path, as one to await; a plain one runs in Django's thread.

    Raises:
        ImportError: The path leads nowhere.
        TypeError: What is there is no function that takes user, room, data and claims.
    """
    function = import_string(path)
    require_function(function, None, "", None, {}, signature="(user, room, data, claims)")

    def some_data(answer: Any) -> Any:
        if answer is None:
            raise TypeError(f"{path} returned None: return the data, or raise ClientRefused.")
        return answer

    return project_call(function, some_data)
