"""JSON as `json.dumps` and `json.loads` read and write it by default, at orjson's speed.

The values are the same, in either direction, and so are the errors; the text is compact and not
escaped to ASCII. Where orjson refuses a value, or would do something else with it, json does it:

| value | json | orjson |
|---|---|---|
| NaN, Infinity | written and read as such | written as null; refused |
| integers past 64 bits | exact | refused; read as a float |
| keys that are numbers, bools, None | become strings | refused |
| subclasses of str, int, dict, tuple ... | as their base | some; others refused |
| datetime, UUID, Enum, dataclass | TypeError | written |
| lone surrogates | escaped; read from escapes | refused |
| deep nesting | up to the recursion limit | up to 254 levels |
"""

from __future__ import annotations

import json
import marshal
import re
from typing import Any

import orjson

# Version 2 of marshal's format is the last one that spends no time on finding repeated objects.
_MARSHAL_VERSION = 2

_PERHAPS_PAST_64_BITS = re.compile("[0-9]{19}")


def dumps(content: Any) -> str:
    """Return a value as JSON text.

    Raises:
        TypeError: If it holds what JSON has no form for.
        ValueError: If it holds itself.
    """
    try:
        # marshal takes Python's own types and none of their subclasses, orjson takes JSON's types
        # and more: together they take what both libraries write alike. Its output is not needed.
        # To look at every value from Python would cost more than orjson saves.
        marshal.dumps(content, _MARSHAL_VERSION)
        text = orjson.dumps(content)
    except (TypeError, ValueError):
        return _dumps(content)
    if b"null" in text:  # or was it NaN?
        return _dumps(content)
    return text.decode()


def loads(text: str) -> Any:
    """Return the value of JSON text.

    Raises:
        json.JSONDecodeError: If it is no JSON.
    """
    if not isinstance(text, str) or _PERHAPS_PAST_64_BITS.search(text):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


_dumps = json.JSONEncoder(separators=(",", ":")).encode
