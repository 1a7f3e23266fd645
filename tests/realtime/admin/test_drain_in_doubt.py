"""A drain of which nobody knows whether it happened: told and noted as such, and it happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import publish
from realtime.operations import CannotDrain, DrainUnknown, NodesStatus, drain, draining, nodes
from tests.realtime.admin.staff import make_staff
from tests.realtime.conftest import channel_layers
from tests.realtime.operations.deployment import Deployment
from tests.realtime.process import Process
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def worker(
    redis_server: EmbeddedValkey, tmp_path: Path, settings: Settings
) -> Iterator[tuple[Process, str]]:
    """A worker that tells of itself, and its id."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=PATIENCE)
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    process, port = Deployment(redis_server, tmp_path).worker()
    with process:
        process.serves(port)
        # Only this worker: those of other tests are gone once their leases are.
        wait_until(lambda: [node.pid for node in nodes().nodes] == [process.pid])
        yield process, nodes().nodes[0].id


@pytest.fixture
def redis_hangs(
    worker: tuple[Process, str], redis_server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Redis says which workers there are, and then stands still."""
    known, pid = nodes(), redis_server.pid
    assert pid is not None
    publish("warm", 1)  # this process is connected

    async def anodes(**_: Any) -> NodesStatus:
        os.kill(pid, signal.SIGSTOP)
        return known

    monkeypatch.setattr(draining, "anodes", anodes)
    yield
    os.kill(pid, signal.SIGCONT)


def test_order_that_redis_takes_later(
    client: Client,
    worker: tuple[Process, str],
    redis_hangs: None,
    redis_server: EmbeddedValkey,
    settings: Settings,
) -> None:
    """The page and the log say that nobody knows; the worker drains once Redis goes on."""
    process, node_id = worker
    client.force_login(make_staff("view_room", "drain_node", name="operator"))
    settings.REALTIME = {"CHECK_TIMEOUT": 3}
    answer = client.post(f"/admin/realtime/nodespage/{node_id}/drain/")
    assert answer.status_code == 302
    [told] = [str(each) for each in get_messages(answer.wsgi_request)]
    assert told == (
        "It is unknown whether this was done. Redis did not answer within 3 s: the worker may or "
        "may not have been told to drain."
    )
    [entry] = LogEntry.objects.all()
    assert entry.object_id == node_id
    assert entry.get_change_message() == (
        f"Told the node {node_id} to drain. Redis did not answer: it may or may not have been done."
    )
    assert redis_server.pid is not None
    os.kill(redis_server.pid, signal.SIGCONT)
    assert process.wait() == 0


def test_error_of_the_layer_is_as_much_in_doubt(
    worker: tuple[Process, str],
    redis_hangs: None,
    redis_server: EmbeddedValkey,
    settings: Settings,
) -> None:
    """It came before CHECK_TIMEOUT was over; who catches CannotDrain alone catches it too."""
    _, node_id = worker
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=0.3)
    settings.REALTIME = {"CHECK_TIMEOUT": PATIENCE}
    with pytest.raises(DrainUnknown, match="may or may not have been told to drain"):
        drain(node_id, by="ada")
    assert issubclass(DrainUnknown, CannotDrain)


def test_command_says_so(
    worker: tuple[Process, str],
    redis_hangs: None,
    redis_server: EmbeddedValkey,
    settings: Settings,
) -> None:
    """`manage.py realtime nodes --drain` fails with the same words."""
    _, node_id = worker
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=0.3)
    settings.REALTIME = {"CHECK_TIMEOUT": PATIENCE}
    with pytest.raises(CommandError, match="may or may not have been told to drain"):
        call_command("realtime", "nodes", "--drain", node_id)
