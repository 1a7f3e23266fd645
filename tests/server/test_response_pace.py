"""An application without end waits for its client to read."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

from shardlayer.server.response_pace import ResponsePace
from tests.waiting import PATIENCE


class Response:
    """Notes who produces."""

    def __init__(self) -> None:
        self.producers: list[Any] = []
        self.aborted = 0

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producers.append(producer)

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producers.clear()

    def abort(self) -> None:
        self.aborted += 1


async def waits(pace: ResponsePace) -> asyncio.Task[None]:
    """Return the task of an application that has begun to wait, or has not had to."""
    task = asyncio.create_task(pace.wait_drained())
    await asyncio.sleep(0)
    return task


async def test_nobody_waits_while_the_client_reads() -> None:
    """The first question has Twisted tell; before it nothing is registered."""
    response = Response()
    pace = ResponsePace(response)
    assert response.producers == []
    assert (await waits(pace)).done()
    assert (await waits(pace)).done()
    assert response.producers == [pace]


async def test_a_full_transport_makes_the_application_wait() -> None:
    """Until it has room, or the response ends."""
    response = Response()
    pace = ResponsePace(response)
    await pace.wait_drained()
    for go_on in (pace.resumeProducing, pace.stopProducing, pace.end):
        pace.pauseProducing()
        pace.pauseProducing()
        task = await waits(pace)
        assert not task.done()
        go_on()
        await asyncio.wait_for(task, PATIENCE)
    assert response.producers == []
    pace.pauseProducing()  # too late
    assert (await waits(pace)).done()


def test_a_client_is_cut_off() -> None:
    """As long as there is a response; its connection may serve another one afterwards."""
    response = Response()
    pace = ResponsePace(response)
    pace.abort()
    assert response.aborted == 1
    pace.end()
    pace.abort()
    assert response.aborted == 1


def test_it_is_part_of_a_scope() -> None:
    """A copy is the same, and nothing of it is pickled."""
    pace = ResponsePace(Response())
    assert copy.deepcopy({"pace": pace})["pace"] is pace
    assert pickle.loads(pickle.dumps(pace)) is None
