"""What stands while a `with` block runs, and is taken down whole, also when it fails half-way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Assembly(ABC):
    """Processes and files that are set up together."""

    _stack: ExitStack

    @abstractmethod
    def _start(self, stack: ExitStack) -> None:
        """Set everything up; what has to be taken down goes on `stack`."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
