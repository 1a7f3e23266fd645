"""The addresses of the API. They work on any server: under WSGI Django runs them in a loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Final

import orjson
from channels import DEFAULT_CHANNEL_LAYER
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from realtime.api.api_counters import DONE, PARTLY_DONE, counters
from realtime.api.api_errors import ApiError
from realtime.api.api_keys import key_of_header, require_announcing, require_room, take_rate
from realtime.api.api_requests import (
    ApiPublication,
    read_announcement,
    read_batch,
    read_json,
    read_publication,
)
from realtime.api.openapi import document
from realtime.conf import conf
from realtime.models import ApiKey
from realtime.sharded_layer import sharded_layer
from realtime.view_decorators import machine_view
from shardlayer import MessageTooLarge, Position, ShardLayerError

logger = logging.getLogger(__name__)

KEY_HEADER: Final = "Idempotency-Key"

View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]
Work = Callable[[ApiKey, dict[str, Any], str | None], Coroutine[Any, Any, Mapping[str, Any]]]
"""Does a request: takes its key, its body and its idempotency key; returns what is answered."""


def endpoint(work: Work) -> View:
    """Return the view of a request that services make with a key."""

    @machine_view
    @csrf_exempt  # a key in a header is nothing that a browser sends by itself
    @wraps(work)
    async def view(request: HttpRequest) -> HttpResponse:
        outcome = "internal"  # unless it is known better
        try:
            if request.method != "POST":
                raise ApiError("method", "Send a POST.", headers={"Allow": "POST"})
            key = await _key(request)
            body = read_json(_body(request))
            found = await work(key, body, request.headers.get(KEY_HEADER))
            outcome = PARTLY_DONE if _has_errors(found) else DONE
            return _answer(200, found)
        except ApiError as error:
            outcome = error.code
            counters.count(error.code)
            answer = _answer(error.status, {"error": error.body()})
            for name, value in error.headers.items():
                answer[name] = value
            return answer
        finally:
            counters.requests[work.__name__, outcome] += 1

    return view


def _has_errors(found: Mapping[str, Any]) -> bool:
    """Tell whether some items of a batch failed."""
    return any("error" in result for result in found.get("results", ()))


@endpoint
async def publish(key: ApiKey, body: dict[str, Any], header_key: str | None) -> Mapping[str, Any]:
    """Publish to one room."""
    publication = read_publication(body, header_key)
    require_room(key, publication.room)
    take_rate(key, 1)
    return await _publish(key, publication)


@endpoint
async def announce(key: ApiKey, body: dict[str, Any], header_key: str | None) -> Mapping[str, Any]:
    """Announce to every client that is connected."""
    data = read_announcement(body, header_key)
    require_announcing(key)
    take_rate(key, 1)
    try:
        await sharded_layer(DEFAULT_CHANNEL_LAYER).announce(data)
    except Exception as error:
        raise _as_api_error(error) from error
    counters.published += 1
    return {}


@endpoint
async def batch(key: ApiKey, body: dict[str, Any], header_key: str | None) -> Mapping[str, Any]:
    """Publish to several rooms: nothing if one item is wrong, else all are tried."""
    items = read_batch(body, header_key, most=conf().api_max_items)
    for number, item in enumerate(items):
        try:
            require_room(key, item.room)
            _require_size(item)
        except ApiError as error:
            error.item = number
            raise
    take_rate(key, len(items))
    return {"results": await _publish_all(key, items)}


@machine_view
@require_safe
async def openapi(request: HttpRequest) -> HttpResponse:
    """Answer the OpenAPI document of these addresses."""
    root = request.path.removesuffix("/openapi.json")
    return _answer(200, document(root))


async def _publish_all(key: ApiKey, items: Sequence[ApiPublication]) -> list[object]:
    async def result(item: ApiPublication) -> object:
        try:
            return await _publish(key, item)
        except ApiError as error:
            counters.count(error.code)
            return {"room": item.room, "error": error.body()}

    # Begun in their order, so each room's keep it; the layer sends what is begun together as one.
    return list(await asyncio.gather(*map(result, items)))


async def _publish(key: ApiKey, item: ApiPublication) -> dict[str, object]:
    _require_size(item)
    try:
        position = await sharded_layer().publish(
            item.room,
            item.data,
            idempotency_key=item.idempotency_key or None,
            owner=f"api.{key.pk}" if item.idempotency_key else "",
            exclude=item.exclude,
        )
    except Exception as error:
        raise _as_api_error(error) from error
    counters.published += 1
    return {"room": item.room} | _fields(position)


def _fields(position: Position | None) -> dict[str, object]:
    return {} if position is None else {"offset": position.offset, "epoch": position.epoch}


async def _key(request: HttpRequest) -> ApiKey:
    try:
        return await key_of_header(request.headers.get("Authorization"))
    except DatabaseError as error:
        logger.exception("A key of the API can't be looked up.")
        words = "The database with the keys did not answer. Nothing was published: send it again."
        raise ApiError("unavailable", words, headers={"Retry-After": "1"}) from error


def _require_size(item: ApiPublication) -> None:
    most = sharded_layer().options.max_message_size
    if len(item.data) > most:
        raise ApiError("too_large", f"The data of a publication have at most {most:,} bytes.")


def _as_api_error(error: Exception) -> ApiError:
    if isinstance(error, MessageTooLarge):
        return ApiError("too_large", str(error))
    if isinstance(
        error, ShardLayerError
    ):  # its text names a server, which is no service's business
        logger.error("A publication over HTTP failed.", exc_info=error)
        words = (
            "Redis did not answer in time. It may have been published. Send it again, with an "
            "idempotency key."
        )
        return ApiError("unavailable", words, headers={"Retry-After": "1"})
    logger.error("A publication over HTTP failed.", exc_info=error)
    return ApiError("internal", "The server failed. Its log says why.")


def _body(request: HttpRequest) -> bytes:
    if request.content_type != "application/json":
        raise ApiError("media_type", "The body must be JSON: 'Content-Type: application/json'.")
    most = conf().api_max_body
    too_large = ApiError("too_large", f"A request's body has at most {most:,} bytes.")
    try:
        announced = int(request.headers.get("Content-Length") or 0)
        if 0 < most < announced:
            raise too_large
        body = request.body
    except (RequestDataTooBig, ValueError) as error:
        raise too_large from error
    if 0 < most < len(body):
        raise too_large
    return body


def _answer(status: int, value: object) -> HttpResponse:
    return HttpResponse(orjson.dumps(value), status=status, content_type="application/json")
