"""What the project knows of people, such as names and pictures: asked once for all of an answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from realtime.clients.client_counters import counters
from realtime.conf import conf
from realtime.json_values import encode
from realtime.people.persons import user_key_of
from realtime.people.project_functions import project_function
from shardlayer import ErrorLog

log_failure = ErrorLog(logging.getLogger(__name__))


async def fields_of(persons: Sequence[str]) -> Mapping[str, Any]:
    """Return what PRESENCE_FETCH says of people, by person; nothing of who is not signed in.

    It is called once, with the primary keys as text of all who are. Should it fail, the answer goes
    without: that is logged and counted.
    """
    path = conf().presence_fetch
    users = {key: person for person in persons if (key := user_key_of(person)) is not None}
    if path is None or not users:
        return {}
    try:
        found = await project_function(path)(list(users))
        return {users[str(key)]: fields for key, fields in found.items() if str(key) in users}
    except Exception as error:
        counters.presence_fetches_failed += 1
        log_failure("PRESENCE_FETCH failed; people are shown without names.", exc_info=error)
        return {}


async def encoded_fields_of(persons: Sequence[str]) -> Mapping[str, bytes]:
    """Return what `fields_of` does, as JSON text; nothing of who has none.

    Who has something without a JSON form goes without: that is logged, and counted as one failure.
    """
    encoded: dict[str, bytes] = {}
    has_failed = False
    for person, fields in (await fields_of(persons)).items():
        if fields is None:
            continue
        try:
            encoded[person] = encode(fields)
        except Exception as error:
            has_failed = True
            message = "What PRESENCE_FETCH returned has no JSON form; who it is about has no name."
            log_failure(message, exc_info=error)
    counters.presence_fetches_failed += has_failed
    return encoded
