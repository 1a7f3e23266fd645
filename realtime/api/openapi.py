"""The OpenAPI 3.1 document of the API, as a value."""

from __future__ import annotations

from typing import Any, Final

from realtime.api.api_errors import STATUS_OF
from realtime.api.api_requests import MAX_KEY
from realtime.conf import conf
from realtime.rooms.room_names import MAX_ROOM_NAME
from shardlayer import __version__

_WHAT: Final = {
    400: "The request is wrong, or names no room.",
    401: "The API key is missing or not valid.",
    403: "The key does not open the room, or may not announce.",
    413: "The body, the batch or the data of a publication are too large.",
    415: "The body is no JSON.",
    429: "The key publishes more often than it may.",
    500: "The server failed.",
    503: "Redis did not answer in time; it may or may not have taken it.",
}

_KEY: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_KEY,
    "description": "Names a publication: sent again under its key within five minutes, it is "
    "published once, and answered with the first one's position.",
}


def document(root: str) -> dict[str, Any]:
    """Return the document of an API whose addresses begin with `root`, such as `/api`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shardlayer",
            "version": __version__,
            "summary": "Publish to rooms of browsers, over HTTP.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": root or "/"}],
        "security": [{"key": []}],
        "paths": {
            "/publish": _path("publish", "Publish to one room.", "Publication", "Published"),
            "/announce": _path(
                "announce",
                "Announce to every client that is connected. Nothing is kept of it.",
                "Announcement",
                "Announced",
                has_key=False,
            ),
            "/batch": _path(
                "batch",
                "Publish to several rooms. Nothing is published if one item is wrong; else all are "
                "tried, and each has its result. What goes to one room keeps its order.",
                "Batch",
                "Results",
            ),
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `manage.py realtime apikey`, or of the admin.",
                }
            },
            "schemas": _schemas(),
        },
    }


def _path(
    name: str, summary: str, body: str, answer: str, *, has_key: bool = True
) -> dict[str, Any]:
    parameters = [{"name": "Idempotency-Key", "in": "header", "schema": _KEY}] if has_key else []
    errors = {str(status): _answer(what, "Failure") for status, what in _WHAT.items()}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "requestBody": {"required": True, "content": _json(body)},
            "responses": {"200": _answer("Redis has it.", answer), **errors},
        }
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": _json(schema)}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _of(schema)}}


def _of(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def _schemas() -> dict[str, Any]:
    room = {"type": "string", "pattern": "^[a-zA-Z0-9._-]+$", "maxLength": MAX_ROOM_NAME}
    data = {"description": "Any JSON value, as clients get it."}
    offset = {"type": "integer", "minimum": 1}
    epoch = {"type": "string"}
    items: dict[str, Any] = {"type": "array", "minItems": 1, "items": _of("Publication")}
    if most := conf().api_max_items:
        items["maxItems"] = most
    return {
        "Publication": _object(
            ["room", "data"],
            room=room,
            data=data,
            exclude={
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{16}$",
                "description": "The id of a client's connection, which does not get it.",
            },
            idempotency_key=_KEY,
        ),
        "Announcement": _object(["data"], data=data),
        "Batch": _object(["items"], items=items),
        "Published": {
            **_object(["room"], room=room, offset=offset, epoch=epoch),
            "description": "Without offset and epoch where the room keeps no history.",
        },
        "Announced": _object([]),
        "Results": _object(
            ["results"],
            results={
                "type": "array",
                "description": "In the order of the items.",
                "items": {"oneOf": [_of("Published"), _of("FailedItem")]},
            },
        ),
        "FailedItem": _object(["room", "error"], room=room, error=_of("Error")),
        "Failure": _object(["error"], error=_of("Error")),
        "Error": _object(
            ["code", "message"],
            code={"type": "string", "enum": sorted(STATUS_OF)},
            message={"type": "string", "description": "For people."},
            item={
                "type": "integer",
                "minimum": 0,
                "description": "The number of the item of a batch that it is about, from 0.",
            },
        ),
    }
