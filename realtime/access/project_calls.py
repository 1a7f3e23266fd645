"""Functions that a project has written, called from an event loop.

A project's function may be asynchronous or not. It may return a coroutine though it is a plain
function, or raise what no other code expects. Rules, hooks and what presence asks are called here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Answer = TypeVar("Answer")
ToThread = Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Return whether calling a function, or an object, gives a coroutine."""
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


def require_function(function: object, *arguments: object, signature: str) -> None:
    """Raise TypeError, which says what is wrong, unless `function` returns for such arguments.

    A class is refused: its instances are true, and have no JSON form. So is a generator function:
    what it decides is never asked for.
    """
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"{function!r} is no function.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function!r} yields: it must return.")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise TypeError(f"it must take {signature}: {error}.") from error
    except ValueError:  # it has no signature to look at, as some that are written in C
        return


def without_stop_iteration(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function for a thread, which raises RuntimeError in place of StopIteration.

    As a coroutine does. A future of asyncio takes no StopIteration, so that whoever waits for the
    thread would wait for good.
    """

    @wraps(function)
    def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return function(*arguments, **named)
        except StopIteration as error:
            raise RuntimeError(f"{function!r} raised StopIteration.") from error

    return call


def project_call(
    function: Callable[..., Any],
    judge: Callable[[Any], Answer],
    to_thread: ToThread = sync_to_async,
) -> Callable[..., Awaitable[Answer]]:
    """Return a project's function as one to await; a plain one runs in Django's thread.

    What it returns is awaited until it is no awaitable, and then handed to `judge`: in the thread,
    where the database may be used, if it comes from there.

    Args:
        function: The project's.
        judge: Returns what its answer means.
        to_thread: Makes a plain function asynchronous.
    """
    if is_asynchronous(function):

        async def call(*arguments: Any) -> Answer:
            return judge(await _settled(function(*arguments)))

        return call

    def run(*arguments: Any) -> tuple[Awaitable[Any] | None, Answer | None]:
        answer = function(*arguments)
        return (answer, None) if inspect.isawaitable(answer) else (None, judge(answer))

    in_thread = to_thread(without_stop_iteration(run))

    async def call_in_thread(*arguments: Any) -> Answer:
        pending, answer = await in_thread(*arguments)
        if pending is None:
            return answer  # type: ignore[no-any-return]
        return judge(await _settled(pending))

    return call_in_thread


async def _settled(answer: Any) -> Any:
    """Return what is left once nothing more is to be awaited."""
    while inspect.isawaitable(answer):
        answer = await answer
    return answer
