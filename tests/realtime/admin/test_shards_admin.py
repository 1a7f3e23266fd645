"""The admin's Shards page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import publish
from realtime.operations import nodes, shards
from tests.realtime.admin.staff import body
from tests.realtime.conftest import PATIENT, channel_layers
from tests.realtime.operations.deployment import Deployment
from tests.waiting import wait_until

SHARDS = "/admin/realtime/shardspage/"

pytestmark = pytest.mark.django_db


def test_all_shards_are_rows(staff: Client, redis_of_admin: None) -> None:
    """There are 32, each with its server; what no process tells is unknown, and not 0."""
    publish("general", 1)
    page = body(staff, SHARDS)
    assert page.count('<th scope="row" class="number">') == 32
    assert page.count("<td>up") + len(re.findall(r"<td>\s+up", page)) == 32
    assert "No process has reported" in page
    assert "unknown" in page
    assert '<td class="number">0</td>' not in page


def test_figures_of_processes(
    staff: Client, redis_server: EmbeddedValkey, settings: Settings, tmp_path: Path
) -> None:
    """With a worker there are rooms and rates, and pictures of how they are spread."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = PATIENT
    process, port = Deployment(redis_server, tmp_path).worker()
    with process:
        process.serves(port)
        wait_until(lambda: [node.pid for node in nodes().nodes] == [process.pid])
        wait_until(lambda: shards().shards[0].publications is not None)
        page = body(staff, SHARDS)
    assert "No process has reported" not in page
    assert page.count('class="realtime-bars"') == 3
    assert 'aria-label="Publications a second: at most' in page


def test_dead_server_is_down(
    staff: Client, redis_server: EmbeddedValkey, settings: Settings
) -> None:
    """The shards of a server that is away are down, those of the other are up."""
    port = free_port()
    settings.REALTIME = PATIENT
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url, f"redis://:secret@127.0.0.1:{port}"], publish_timeout=5.0
    )
    page = body(staff, SHARDS)
    assert page.count(">down</span>") == 16
    assert f"127.0.0.1:{port}</strong> does not answer" in page
    assert "secret" not in page


def test_second_admin_site_is_not_left(
    staff: Client, settings: Settings, redis_of_admin: None
) -> None:
    """Every link leads to the admin site that the page is of."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    links = re.findall(r'href="(/[^"]*)"', body(staff, SHARDS.replace("/admin/", "/second/")))
    assert not [link for link in links if link.startswith("/admin/")]
