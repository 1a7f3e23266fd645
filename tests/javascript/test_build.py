"""What Django serves is what the build makes of the sources."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import shardlayer
from tests.javascript.conftest import PACKAGE, run

STATIC = PACKAGE.parents[1] / "realtime" / "static" / "realtime"
PAGES_LOAD = ("client.js", "client.iife.js")
SERVED = (*PAGES_LOAD, "client-shared.js", "client-sse.js", "element.js")
LIMIT = 6_656  # bytes, gzipped


@pytest.fixture(scope="module")
def build(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the build makes now."""
    folder = tmp_path_factory.mktemp("built")
    run(node, "build.mjs", folder)
    return folder


@pytest.mark.parametrize("name", [name + end for name in SERVED for end in ("", ".map")])
def test_served_file_is_the_build_of_the_sources(build: Path, name: str) -> None:
    """Whoever changes a source runs `node build.mjs` in clients/js and commits what is built."""
    assert (STATIC / name).read_bytes() == (build / name).read_bytes()


@pytest.mark.parametrize("name", PAGES_LOAD)
def test_client_is_small(build: Path, name: str) -> None:
    """A page waits for it: 6.5 KiB at most on the wire."""
    assert len(gzip.compress((build / name).read_bytes(), 9, mtime=0)) <= LIMIT


@pytest.mark.parametrize("name", SERVED)
def test_source_map_names_no_machine(build: Path, name: str) -> None:
    """Its paths are those of the package, and the sources are inside."""
    source_map = json.loads((build / f"{name}.map").read_text())
    assert all(source.startswith("../src/") for source in source_map["sources"])
    assert all(source_map["sourcesContent"])


def test_package_has_the_version_of_the_server() -> None:
    """The client and the server are released together."""
    package = json.loads((PACKAGE / "package.json").read_text())
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    assert package["version"] == lock["version"] == shardlayer.__version__
