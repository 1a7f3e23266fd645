"""A function for synchronous code and its twin for asynchronous code, of one body.

The body looks at its arguments, and raises what is wrong with them. It returns the call that is
left to do. So both twins encode data in the caller's thread, where a lazy translation has the
caller's language.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

from shardlayer import ShardedChannelLayer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class LayerCall(NamedTuple, Generic[Result]):
    """What is left to do once the arguments are found right.

    Attributes:
        layer: Asked.
        work: Asks it, in whichever event loop runs.
    """

    layer: ShardedChannelLayer
    work: Callable[[], Coroutine[Any, Any, Result]]


def twins(
    body: Callable[Arguments, LayerCall[Result]],
) -> tuple[Callable[Arguments, Result], Callable[Arguments, Coroutine[Any, Any, Result]]]:
    """Return the synchronous and the asynchronous function that a body named `_NAME` describes.

    They are called `NAME` and `aNAME`. The synchronous one makes no event loop: its thread waits
    for the process's background connection. It raises RuntimeError where an event loop runs.
    """
    name = body.__name__.removeprefix("_")

    @wraps(body)
    def blocking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        layer, work = body(*args, **kwargs)
        return layer.wait_for(work, f"a{name}()")

    @wraps(body)
    async def asynchronous(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return await body(*args, **kwargs).work()

    for function, own, other in (
        (blocking, name, f"Waits until it is done. In asynchronous code await `a{name}` instead."),
        (asynchronous, f"a{name}", f"In synchronous code call `{name}` instead."),
    ):
        function.__name__ = function.__qualname__ = own
        function.__doc__ = f"{(body.__doc__ or '').rstrip()}\n\n    {other}\n    "
    return blocking, asynchronous
