"""Who is served next when many clients ask for much at once.

A client that asks for a hundred rooms in one frame must not stand before one that asks for one. So
work is done a piece at a time: so many pieces are under way in a process, and those that wait are
begun in turns, one of each asker.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, ref

from realtime.clients.client_counters import counters
from shardlayer import Node, take_note

HOLD = 0.05  # seconds after which a piece of work no longer counts: it waits for somebody else

Result = TypeVar("Result")
Work = Callable[[], Coroutine[Any, Any, Result]]


class RoundRobin:
    """Begins pieces of work in turns, for one event loop.

    A piece that takes longer than `hold` goes on, and another is begun beside it: work that waits
    for a server that does not answer holds up no other.

    Args:
        width: Pieces that count as under way, at most; 0: any number.
        hold: Seconds for which one counts, at most.
    """

    def __init__(self, width: int, hold: float = HOLD) -> None:
        self._width = width
        self._hold = hold
        self._begun = 0
        self._turns: dict[int, float] = {}  # by number, each with the time when it began
        self._lines: OrderedDict[object, deque[Callable[[], None]]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Work[Result]) -> Result:
        """Do one piece of work, when its turn comes, and return its result."""
        if not self.is_free:
            return (await self.run_all([work]))[0]
        turn = self.begin()
        try:
            return await work()
        finally:
            self.end(turn)

    async def run_all(self, works: Sequence[Work[Result]]) -> list[Result]:
        """Do pieces of one asker's work side by side, each when its turn comes.

        Returns their results in their order, and raises the first failure of any after all ended.
        Cancelling it cancels what was begun.
        """
        if not works:
            return []
        loop = asyncio.get_running_loop()
        all_done: asyncio.Future[None] = loop.create_future()
        tasks: dict[int, asyncio.Task[Result]] = {}
        left = len(works)

        def begin(index: int) -> None:
            task = loop.create_task(works[index](), name="realtime: a client's turn")
            tasks[index] = task
            task.add_done_callback(partial(ended, self.begin()))

        def ended(turn: int, task: asyncio.Task[Result]) -> None:
            nonlocal left
            self.end(turn)
            left -= 1
            take_note(task)  # its error may not be the first, or the asker's cancellation hides it
            if not left and not all_done.done():
                all_done.set_result(None)

        asker = object()
        self._lines[asker] = deque(partial(begin, index) for index in range(len(works)))
        self._go_on()
        counters.turns_waited += len(self._lines.get(asker, ()))
        try:
            await all_done
        except BaseException:
            self._lines.pop(asker, None)
            for task in tasks.values():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks.values())
            raise
        return [tasks[index].result() for index in range(len(works))]

    @property
    def is_free(self) -> bool:
        """Whether who comes now waits for nobody, and may `begin`."""
        return not self._lines and (not self._width or len(self._turns) < self._width)

    def begin(self) -> int:
        """Note that a piece of work begins, and return what `end` takes."""
        self._begun += 1
        self._turns[self._begun] = monotonic()
        return self._begun

    def end(self, turn: int) -> None:
        """Note that it ended."""
        if self._turns.pop(turn, None) is not None and self._lines:
            self._go_on()

    def _go_on(self) -> None:
        """Begin what may begin, one piece of each asker in turn."""
        while self._lines and not 0 < self._width <= len(self._turns):
            asker, line = next(iter(self._lines.items()))
            begin = line.popleft()
            if line:
                self._lines.move_to_end(asker)
            else:
                del self._lines[asker]
            begin()
        if self._lines and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._hold, self._let_go)

    def _let_go(self) -> None:
        """Count no more what has been under way for long."""
        self._timer = None
        latest = monotonic() - self._hold
        for turn in [turn for turn, since in self._turns.items() if since <= latest]:
            del self._turns[turn]
        if self._lines:
            self._go_on()


_of_nodes: WeakKeyDictionary[Node, RoundRobin] = WeakKeyDictionary()
_latest: tuple[ReferenceType[Node], RoundRobin] | None = None  # a process has one node, mostly


def turns_of(node: Node, width: int) -> RoundRobin:
    """Return the turns of all clients of a node, so of one event loop."""
    global _latest
    if _latest is not None and _latest[0]() is node:
        return _latest[1]
    turns = _of_nodes.get(node)
    if turns is None:
        turns = _of_nodes[node] = RoundRobin(width)
    _latest = (ref(node), turns)
    return turns
