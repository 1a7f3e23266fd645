"""What a server puts into scopes, which applications copy and pickle."""

from __future__ import annotations

from typing import Self


class ScopePart:
    """A copy of it is the same; it pickles as None, since where that is read it is not there."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return type(None), ()
