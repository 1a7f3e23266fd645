"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"shardlayer", "realtime"}

# Where an extra's packages may be imported; what is nowhere here needs no extra.
PLACES = {
    "server": ("shardlayer/server/",),
    "kafka": (
        "realtime/kafka/",
        "realtime/operations/dead_letters.py",
        "realtime/loadtest/publishing/kafka_way.py",
    ),
    "loadtest": ("realtime/loadtest/reporting/rich_view.py",),
    "client": ("shardlayer/client/",),
    "metrics": ("realtime/metrics/",),
    "jwt": ("realtime/access/jwt_",),
    "otel": ("realtime/tracing/opentelemetry_tracer.py",),
    "encryption": ("shardlayer/",),
}
# Imported only where a project has it loaded or installed; nothing of ours needs it.
LOOKED_FOR = {
    "shardlayer/aio/native_threads.py": {"gevent"},
    "realtime/management/replay_progress.py": {"rich"},
    "realtime/pytest_plugin.py": {"pytest"},
}
# Declared and imported by nothing of ours.
NAMED_BY_PROJECTS = {"django-prometheus", "opentelemetry-sdk"}  # in their settings


def declared(extra: str = "") -> set[str]:
    """Return the names of the distributions that are declared for an extra, or for all."""
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {_canonical(re.split(r"[\[<>=! ]", line)[0]) for line in lines}


def _canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each file, and whose each package is that it imports: some share one, as `twisted`."""
    owners = packages_distributions()
    for package in sorted(OWN):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                for top in {module.partition(".")[0] for module in modules}:
                    if top not in OWN and top not in sys.stdlib_module_names:
                        names = frozenset(map(_canonical, owners[top]))
                        yield str(path.relative_to(ROOT)), names


def allowed_in(file: str) -> set[str]:
    """Return the distributions that a file may import."""
    extras = [extra for extra, places in PLACES.items() if file.startswith(places)]
    return declared().union(*map(declared, extras), LOOKED_FOR.get(file, ()))


def test_what_is_imported_is_declared() -> None:
    """A file imports what is always installed, and what the extra of its place brings."""
    found = [(file, names) for file, names in imported() if not names & allowed_in(file)]
    assert not found, found


def test_what_is_declared_is_imported() -> None:
    """No dependency stays behind when its last import goes."""
    used = NAMED_BY_PROJECTS.union(*(names for _, names in imported()))
    all_declared = declared().union(
        *map(declared, PLACES),
    )
    assert all_declared <= used, all_declared - used


def test_all_names_every_extra_of_users() -> None:
    """`shardlayer[all]` is all the extras of users together."""
    assert PROJECT["optional-dependencies"]["all"] == [
        "shardlayer[server,kafka,client,metrics,jwt,encryption,otel,loadtest]"
    ]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_supported_versions_are_classified(version: str) -> None:
    """What is supported is said where the package index shows it."""
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
