"""Publishing what a transaction changed, once it is committed, without a risk to the request.

`transaction.on_commit(lambda: publish(…))` waits for Redis in the request. If Redis is away, the
request fails although its data is committed. `publish_on_commit` does neither.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from dataclasses import dataclass, field
from functools import partial

from asgiref.sync import sync_to_async
from channels import DEFAULT_CHANNEL_LAYER
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction

from realtime.client_header import require_client_id
from realtime.conf import conf
from realtime.json_values import encode
from realtime.rooms.room_names import require_open_room
from realtime.sharded_layer import sharded_layer
from shardlayer import MessageTooLarge, ShardedChannelLayer, Throttle

logger = logging.getLogger(__name__)

EXIT_WAIT = 2.0  # seconds that a process which ends waits for what it has begun to publish


@dataclass(slots=True)
class OnCommitCounters:
    """Counts of this process, since it started.

    Attributes:
        published: Publications that Redis acknowledged.
        failed: Publications that may be lost, as no acknowledgement came within `publish_timeout`.
        dropped: Publications that were lost, as `MAX_ON_COMMIT_WAITING` others were under way.
        waiting: Those under way now. One object each: adding and removing take one step, in
            whichever thread.
    """

    published: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: set[object] = field(default_factory=set)


counters = OnCommitCounters()
_complaint = Throttle()


def publish_on_commit(
    room: str,
    data: object,
    *,
    exclude: str | None = None,
    outbox: bool = False,
    using: str = DEFAULT_CHANNEL_LAYER,
    database: str | None = None,
) -> None:
    """Publish `data` to everybody in `room` once the current transaction is committed.

    After a rollback nothing is published. Without a transaction it is published at once. Either
    way the call never waits for Redis, and an error of Redis never reaches the caller.

    Args:
        room: As `publish` takes it.
        data: A value with a JSON form. It is encoded now: later changes are not published.
        exclude: As in `publish`. Not with the outbox, whose rows may be published when that client
            is gone.
        outbox: Whether it is written into the outbox, in the same transaction. Then it is published
            exactly once, by `manage.py runoutbox`, whatever fails. Otherwise this process publishes
            it in the background. It is lost if Redis stays away for longer than the layer's
            `publish_timeout`, if the process is killed, or if too many others wait.
        using: The alias of the channel layer.
        database: The alias of the database whose transaction it is. Default: the one that the
            routers name for writing the outbox, which is usually `default`.

    Raises:
        ValueError: The room's name breaks the rules, the room is the workers' own, or `exclude` is
            no client's id, or goes with `outbox`.
        TypeError: The data have no JSON form, or the layer is none of ours.
        MessageTooLarge: Their JSON is larger than the layer takes.
        ImproperlyConfigured: The app is not installed, and is needed: for the outbox, or to choose
            the database.
        DatabaseError: The outbox can't be written.
    """
    if outbox or database is None:
        require_app("publish_on_commit")
    require_open_room(room)
    left_out = require_client_id(exclude)
    if left_out and outbox:
        raise ValueError("The outbox can't leave a client out: give exclude or outbox=True.")
    encoded = encode(data)
    layer = sharded_layer(using)
    size, limit = len(encoded), layer.options.max_message_size
    if size > limit:
        raise MessageTooLarge(size=size, limit=limit)
    database = database or _outbox_database()
    if outbox:
        from realtime.outbox.entries import write

        write(database, using, [(room, encoded)])
    else:
        begin = partial(_publish_in_background, layer, room, encoded, left_out)
        transaction.on_commit(begin, using=database, robust=True)


async def apublish_on_commit(
    room: str,
    data: object,
    *,
    exclude: str | None = None,
    outbox: bool = False,
    using: str = DEFAULT_CHANNEL_LAYER,
    database: str | None = None,
) -> None:
    """Do what `publish_on_commit` does, from asynchronous code.

    Django's transactions are synchronous, so there is none around an asynchronous caller: it is
    published, or written into the outbox, at once.
    """
    publish = sync_to_async(publish_on_commit)
    await publish(room, data, exclude=exclude, outbox=outbox, using=using, database=database)


def require_app(caller: str) -> None:
    """Raise where `realtime` is none of the project's apps: its models can't be imported then.

    Raises:
        ImproperlyConfigured: It says what to do, on behalf of `caller`.
    """
    if not apps.is_installed("realtime"):
        raise ImproperlyConfigured(f"{caller} needs the app: add 'realtime' to INSTALLED_APPS.")


def _outbox_database() -> str:
    from realtime.models import OutboxEntry

    return router.db_for_write(OutboxEntry)


def _publish_in_background(
    layer: ShardedChannelLayer, room: str, data: bytes, exclude: str
) -> None:
    limit = conf().max_on_commit_waiting
    if limit and len(counters.waiting) >= limit:
        counters.dropped += 1
        _complain("A publication to %s is lost: %d others wait for Redis already.", room, limit)
        return
    token = object()
    counters.waiting.add(token)

    def told(error: BaseException | None) -> None:
        counters.waiting.discard(token)
        if error is None:
            counters.published += 1
        else:
            counters.failed += 1
            _complain("A publication to %s may be lost: %s", room, error)

    try:
        layer.publish_soon(room, data, exclude=exclude, told=told)
    except Exception as error:  # a layer that is being closed
        told(error)


def _complain(line: str, *arguments: object) -> None:
    if _complaint.is_due():
        logger.error(
            f"{line} (%d failed, %d dropped)", *arguments, counters.failed, counters.dropped
        )


def _wait_at_exit() -> None:
    end = time.monotonic() + EXIT_WAIT
    while counters.waiting and time.monotonic() < end:
        time.sleep(0.01)
    if counters.waiting:
        logger.error("%d publications may be lost: the process ends.", len(counters.waiting))


atexit.register(_wait_at_exit)
os.register_at_fork(after_in_child=counters.waiting.clear)
