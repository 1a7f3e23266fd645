"""How the application's values become the JSON that clients get."""

from __future__ import annotations

from decimal import Decimal

import orjson
from django.utils.functional import Promise


def encode(data: object) -> bytes:
    """Return `data` as JSON text in UTF-8.

    Beside JSON's own types: dates and times (RFC 3339; an aware time keeps its offset), UUIDs,
    enums and dataclasses as orjson writes them; Decimals and lazy translations as strings.
    `orjson.Fragment` splices in JSON that is there already.

    Raises:
        TypeError: Something in `data` has no JSON form; the message names its type.
    """
    try:
        return orjson.dumps(data, default=_default)
    except orjson.JSONEncodeError as error:
        raise TypeError(f"The data can't be written as JSON: {error}.") from error


def _default(value: object) -> str:
    if isinstance(value, Decimal | Promise):
        return str(value)
    raise TypeError
