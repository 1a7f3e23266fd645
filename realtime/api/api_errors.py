"""What a service is told when its request can't be done: a status, a code and words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STATUS_OF: Final[Mapping[str, int]] = MappingProxyType(
    {
        "bad_json": 400,
        "bad_request": 400,
        "bad_room": 400,
        "bad_key": 401,
        "forbidden": 403,
        "method": 405,
        "too_large": 413,
        "media_type": 415,
        "rate": 429,
        "internal": 500,
        "unavailable": 503,
    }
)
"""The codes, each with the status that it comes with."""


class ApiError(Exception):
    """A request that can't be done, as the service is told.

    Attributes:
        code: For programs; a key of STATUS_OF.
        message: For people.
        item: The number of the item of a batch that it is about, from 0; None if of no one.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        item: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.item = item
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The status of the answer."""
        return STATUS_OF[self.code]

    def body(self) -> dict[str, object]:
        """Return what stands under `error`."""
        found: dict[str, object] = {"code": self.code, "message": self.message}
        return found if self.item is None else found | {"item": self.item}
