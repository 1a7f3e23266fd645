"""`{% realtime_client %}`: the script that a page loads is the one that its integrity is of."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template import Context, Template
from django.test import override_settings

from realtime import client_script

PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
HASHED = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
SOURCE = Path(client_script.__file__).parent / "static" / "realtime" / "client.iife.js"
SCRIPT = re.compile(
    r'<script src="(?P<url>[^"]+)"( integrity="sha384-(?P<hash>[^"]+)")? '
    r'crossorigin="anonymous"( nonce="(?P<nonce>[^"]+)")?></script>'
)


def render(**context: object) -> re.Match[str]:
    """Return what the tag writes, in its parts."""
    text = Template("{% load realtime %}{% realtime_client %}").render(Context(context))
    found = SCRIPT.fullmatch(text)
    assert found is not None, text
    return found


def digest(path: Path) -> str:
    """Return the hash of a file as a page writes it."""
    return base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """A process remembers the hash: each test has other settings."""
    client_script._described.cache_clear()
    yield
    client_script._described.cache_clear()


def storage(backend: str, root: Path) -> override_settings:
    """Have static files collected into a folder."""
    storages = {"staticfiles": {"BACKEND": backend}}
    return override_settings(STORAGES=storages, STATIC_ROOT=str(root), STATIC_URL="/static/")


def collect() -> None:
    """Collect the static files."""
    call_command("collectstatic", interactive=False, verbosity=0)


@pytest.mark.parametrize("debug", [True, False])
def test_script_without_collecting(debug: bool, tmp_path: Path) -> None:
    """`runserver` serves the file of the package."""
    with storage(PLAIN, tmp_path / "none"), override_settings(DEBUG=debug):
        script = render()
    assert script["url"] == "/static/realtime/client.iife.js"
    assert script["hash"] == digest(SOURCE)


def test_collected_script(tmp_path: Path) -> None:
    """What is collected as it is has the same hash."""
    with storage(PLAIN, tmp_path):
        collect()
        assert render()["hash"] == digest(SOURCE)


def test_hashed_names(tmp_path: Path) -> None:
    """The hash is of the file that was collected, whose reference to its source map is another."""
    with storage(HASHED, tmp_path):
        collect()
        script = render()
    served = tmp_path / script["url"].removeprefix("/static/")
    assert served.name != SOURCE.name
    assert served.read_bytes() != SOURCE.read_bytes()
    assert script["hash"] == digest(served)
    assert (served.parent / "client-shared.js").exists()  # which it loads by this name


def test_two_versions_have_no_hash(tmp_path: Path) -> None:
    """Where it is not certain which file is served, a hash could keep the page from its client."""
    with storage(PLAIN, tmp_path):
        collect()
        (tmp_path / "realtime" / "client.iife.js").write_text("// of a release before")
        assert render()["hash"] is None


def test_storage_of_another_machine(tmp_path: Path) -> None:
    """A storage with hashed names that can't be read makes no page fail."""
    with storage(HASHED, tmp_path):
        collect()
        hashed = render()["url"]
        client_script._described.cache_clear()
        (tmp_path / hashed.removeprefix("/static/")).unlink()
        assert render()["hash"] is None


def test_nonce() -> None:
    """A page whose policy has a nonce gives it to the script."""
    with override_settings(DEBUG=True):
        assert render(csp_nonce="n0nce")["nonce"] == "n0nce"
        assert render()["nonce"] is None


def test_file_is_found() -> None:
    """The app brings it among its static files."""
    assert finders.find(client_script.CLIENT) == str(SOURCE)
