"""The admin's Nodes page: real workers, and having one drain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime.operations import nodes
from shardlayer import __version__
from tests.realtime.admin.staff import body, make_staff
from tests.realtime.conftest import channel_layers
from tests.realtime.operations.deployment import Deployment
from tests.realtime.process import Process
from tests.waiting import wait_until

NODES = "/admin/realtime/nodespage/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(redis_server: EmbeddedValkey, settings: Settings) -> None:
    """This process reads what is told in the shared Redis."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = {"CHECK_TIMEOUT": 10}


@pytest.fixture
def worker(
    here: None, redis_server: EmbeddedValkey, tmp_path: Path
) -> Iterator[tuple[Process, str]]:
    """A worker that tells of itself, and its id."""
    process, port = Deployment(redis_server, tmp_path).worker("--capacity", "50")
    with process:
        process.serves(port)
        # Only this worker: those of other tests are gone once their leases are.
        wait_until(lambda: [node.pid for node in nodes().nodes] == [process.pid])
        yield process, nodes().nodes[0].id


@pytest.fixture
def operator(client: Client) -> Client:
    """The browser of somebody who may drain."""
    client.force_login(make_staff("view_room", "drain_node", name="operator"))
    return client


def test_nodes_are_rows(staff: Client, worker: tuple[Process, str]) -> None:
    """A worker says who it is, what it holds of what it may hold, and its version."""
    process, node_id = worker
    page = body(staff, NODES)
    assert node_id in page
    assert f":{process.pid}<" in page
    assert "0 of 50" in page
    assert __version__ in page
    assert "1 process." in page
    assert "/drain/" not in page  # without the permission


def test_nobody_tells_of_itself(staff: Client, here: None) -> None:
    """Without processes the page says so in words."""
    assert "No process has reported" in body(staff, NODES)


def test_drain_from_the_page(operator: Client, worker: tuple[Process, str]) -> None:
    """It asks first; then the worker ends as on SIGTERM, and the log says who wanted it."""
    process, node_id = worker
    [link] = re.findall(rf'href="({NODES}[^"]*/drain/)"', body(operator, NODES))
    asked = body(operator, link)
    assert "send its 0 connections away, and end?" in asked
    assert process.runs()
    page = operator.post(link, follow=True).content.decode()
    assert "drains: it sends its clients away, and ends." in page
    assert process.wait() == 0
    [entry] = LogEntry.objects.all()
    assert entry.object_id == node_id
    assert entry.user.get_username() == "operator"
    assert entry.get_change_message() == f"Told the node {node_id} to drain."


def test_node_that_is_not_there(operator: Client, here: None) -> None:
    """Nothing is drained, nothing logged; a name that somebody made up stays text."""
    path = f"{NODES}_3Cb_3Enobody/drain/"
    asked = body(operator, path)
    assert "There is no node &lt;b&gt;nobody" in asked
    page = operator.post(path, follow=True).content.decode()
    assert "There is no process" in page
    assert "<b>nobody" not in page
    assert not LogEntry.objects.exists()


def test_only_who_may_drains(staff: Client, here: None) -> None:
    """Who may only look is refused."""
    path = f"{NODES}some-node/drain/"
    assert staff.get(path).status_code == 403
    assert staff.post(path).status_code == 403


def test_forms_of_other_sites_do_nothing(here: None) -> None:
    """A drain needs the page's token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff("view_room", "drain_node", name="operator"))
    assert client.post(f"{NODES}some-node/drain/").status_code == 403


def test_dead_redis_is_unknown(operator: Client, settings: Settings) -> None:
    """Without Redis nobody knows which nodes there are: not that there are none."""
    port = free_port()
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://:secret@127.0.0.1:{port}"], publish_timeout=0.3
    )
    for path in (NODES, f"{NODES}some-node/drain/"):
        page = body(operator, path)
        assert "The list of nodes is unknown." in page
        assert "secret" not in page
        assert "No process has reported" not in page
    assert str(port) in body(operator, NODES)
    page = operator.post(f"{NODES}some-node/drain/", follow=True).content.decode()
    assert "It is not known which workers there are." in page


def test_second_admin_site_is_not_left(
    operator: Client, worker: tuple[Process, str], settings: Settings
) -> None:
    """Every link, form and answer leads to the admin site that the page is of."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    second = NODES.replace("/admin/", "/second/")
    [drain] = re.findall(rf'href="({second}[^"]*/drain/)"', body(operator, second))
    for path in (second, drain):
        links = re.findall(r'(?:href|action)="(/[^"]*)"', body(operator, path))
        assert not [link for link in links if link.startswith("/admin/")]
    gone = f"{second}gone/drain/"
    assert operator.post(gone)["Location"] == second
