"""Bodies of requests to values, without I/O. Each function raises ApiError, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from realtime.api.api_errors import ApiError
from realtime.rooms.room_names import ROOM_RULE, is_room_name, room_name_problem
from shardlayer import is_client_name

MAX_KEY: Final = 100  # characters of an idempotency key
MAX_SHOWN: Final = 50  # characters of a wrong room's name that an error quotes

_PUBLICATION: Final = frozenset(("room", "data", "exclude", "idempotency_key"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPublication:
    """What a service publishes.

    Attributes:
        room: Where to.
        data: JSON text in UTF-8.
        exclude: The id of a client that does not get it; empty for none.
        idempotency_key: Names it for the service; empty if it has no name.
    """

    room: str
    data: bytes
    exclude: str = ""
    idempotency_key: str = ""


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object in a body."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError("bad_json", f"The body is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ApiError("bad_request", "The body must be a JSON object.")
    return found


def read_publication(body: dict[str, Any], header_key: str | None = None) -> ApiPublication:
    """Return the publication of `POST publish`; `header_key` is its `Idempotency-Key`."""
    if header_key is not None:
        require_key(header_key)
    return _publication(body, header_key)


def read_announcement(body: dict[str, Any], header_key: str | None = None) -> bytes:
    """Return the JSON text of `POST announce`."""
    if header_key is not None:
        raise ApiError("bad_request", "An announcement takes no Idempotency-Key: it is not kept.")
    _require_known(body, frozenset(("data",)))
    return _data(body)


def read_batch(
    body: dict[str, Any], header_key: str | None = None, *, most: int = 0
) -> list[ApiPublication]:
    """Return the publications of `POST batch`, at most so many; 0: any number.

    With an `Idempotency-Key` each has a key of its own, made of that and of its number.
    """
    _require_known(body, frozenset(("items",)))
    items = body.get("items")
    if not isinstance(items, list) or not items:
        raise ApiError("bad_request", "'items' must be a list of publications that is not empty.")
    if 0 < most < len(items):
        raise ApiError("too_large", f"A batch has at most {most:,} items, not {len(items):,}.")
    if header_key is not None:
        require_key(header_key)
    found = []
    for number, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise ApiError("bad_request", "An item must be a JSON object.")
            key = None if header_key is None else f"{header_key}/{number}"
            found.append(_publication(item, key))
        except ApiError as error:
            error.item = number
            raise
    return found


def _publication(body: dict[str, Any], header_key: str | None) -> ApiPublication:
    _require_known(body, _PUBLICATION)
    room, exclude, key = body.get("room"), body.get("exclude"), body.get("idempotency_key")
    if "room" not in body:
        raise ApiError("bad_room", "'room' is missing: the name of the room to publish to.")
    if not isinstance(room, str) or not is_room_name(room):
        shown = repr(room[:MAX_SHOWN]) if isinstance(room, str) and room else "The room"
        raise ApiError(
            "bad_room", f"{shown} can't name a room: {room_name_problem(room)}. {ROOM_RULE}"
        )
    if exclude is not None and not is_client_name(exclude):
        raise ApiError("bad_request", "'exclude' must be the id of a client's connection.")
    if key is not None:
        require_key(key)
    return ApiPublication(
        room=room,
        data=_data(body),
        exclude=exclude or "",
        idempotency_key=key or header_key or "",
    )


def _data(body: dict[str, Any]) -> bytes:
    if "data" not in body:
        raise ApiError("bad_request", "'data' is missing: any JSON value.")
    try:
        return orjson.dumps(body["data"])
    except orjson.JSONEncodeError as error:  # what is read may be nested deeper than is written
        raise ApiError("bad_request", "'data' is nested too deeply.") from error


def require_key(key: object) -> None:
    """Raise ApiError if something can be no idempotency key."""
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise ApiError(
            "bad_request",
            f"An idempotency key is a string of 1 to {MAX_KEY} printable characters.",
        )


def _require_known(body: dict[str, Any], known: frozenset[str]) -> None:
    if unknown := sorted(set(body) - known):
        raise ApiError(
            "bad_request",
            f"There is no key {unknown[0][:50]!r}; the keys are {', '.join(sorted(known))}.",
        )
