"""The demo page's view."""

from __future__ import annotations

from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import Settings


def test_page_knows_its_worker(client: Client, settings: Settings) -> None:
    """The page is given this worker's name, all workers, and the WebSocket's path."""
    settings.DEMO = {
        "WORKER": "worker-2",
        "WORKERS": {"worker-1": "http://127.0.0.1:8000", "worker-2": "http://127.0.0.1:8001"},
    }
    response = client.get("/")
    assert response.status_code == 200
    assert response.context["worker"] == "worker-2"
    assert response.context["workers"] == [
        {"name": "worker-1", "url": "http://127.0.0.1:8000", "current": False},
        {"name": "worker-2", "url": "http://127.0.0.1:8001", "current": True},
    ]
    assert response.context["websocket_path"] == "/ws/"


def test_page_under_a_root_path(client: Client) -> None:
    """Behind a proxy that serves it below a path, the WebSocket's path follows."""
    response = client.get("/", SCRIPT_NAME="/demo")
    assert response.context["websocket_path"] == "/demo/ws/"


def test_browsers_find_an_icon(client: Client) -> None:
    """Also those that look for one by themselves, as on the admin's pages."""
    response = client.get("/favicon.ico")
    assert response.status_code == 302
    assert finders.find(response["Location"].removeprefix("/static/")) is not None


def test_it_leads_on(client: Client) -> None:
    """The page has links to the documentation and the admin."""
    page = client.get("/").content.decode()
    assert 'href="/admin/"' in page
    assert 'href="https://github.com/shardlayer/shardlayer/tree/main/docs"' in page
