"""Who may import whom: docs/design.md's layers, held by reading every import.

A lower layer never imports a higher one, and no modules import each other in a circle; imports
inside functions and under TYPE_CHECKING count.
A message says how to mend it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("shardlayer", "realtime", "demo", "config")

# shardlayer's packages, lowest first: each imports from those below it.
LAYERS = (
    {"core"},
    {"aio"},
    {"broker"},
    {"delivery"},
    {"channels"},
    {"layer"},
    # Adapters: none imports another.
    {"consumers", "server", "balancer", "client", "testing", "apps"},
)
ADAPTERS = LAYERS[-1]
BROKERS = ("shardlayer.broker.memory", "shardlayer.broker.redis")
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}

# What shardlayer must not know of: the settings reach it as arguments, figures leave it as numbers.
UNKNOWN_TO_SHARDLAYER = (
    "realtime",
    "demo",
    "config",
    "django.conf",
    "prometheus_client",
    "django_prometheus",
)
CLIENT_MAY = ("shardlayer.client", "shardlayer.core", "shardlayer.aio")
COMMANDS = "realtime.management.commands"  # start servers, so they may import these:
SERVERS = ("shardlayer.server", "shardlayer.balancer")


def within(module: str, package: str) -> bool:
    """Say whether a module is a package or inside it."""
    return module == package or module.startswith(package + ".")


def imports_of(module: str, source: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line and absolute dotted name of all that a module imports.

    `from a import b` is a.b: whether b is a module or a name in one, it is inside a.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if is_package else -1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def violations(
    module: str, source: str, *, is_package: bool = False, exported: frozenset[str] = frozenset()
) -> list[str]:
    """Return what is wrong with a module's imports, one message each with its line.

    Args:
        exported: The names that `shardlayer/__init__` offers, and `consumers.NAME` for those
            of `shardlayer.consumers`.
    """
    found = []
    for line, target in imports_of(module, source, is_package=is_package):
        if complaint := _complaint(module, target, exported):
            found.append(f"{module}, line {line}: imports {target}. {complaint}")
    return found


def _complaint(module: str, target: str, exported: frozenset[str]) -> str:
    """Return why a module may not import a target and what to do, empty if it may."""
    if within(target, "config") and not within(module, "config"):
        return "config names things by dotted string and is imported by nobody: read a setting."
    if within(target, "demo") and within(module, "realtime"):
        return "realtime is shipped and the demo is not: move what both need into realtime."
    if within(module, "shardlayer.client") and (
        within(target, "django")
        or within(target, "channels")
        or (within(target, "shardlayer") and not any(within(target, x) for x in CLIENT_MAY))
    ):
        return "The client runs without a project: it imports from shardlayer.core and .aio alone."
    if within(module, "shardlayer"):
        return _complaint_in_shardlayer(module, target)
    if within(module, "demo.embedded"):
        if within(target, "django"):
            return "demo.embedded works without Django: move what needs it to the caller."
        if any(within(target, other) for other in ("shardlayer", "realtime")) or (
            within(target, "demo") and not within(target, "demo.embedded")
        ):
            return "demo.embedded stands alone: pass in what it needs as an argument."
    if within(module, "realtime") and within(target, "shardlayer"):
        if within(module, COMMANDS) and any(within(target, server) for server in SERVERS):
            return ""
        if target.removeprefix("shardlayer.") not in exported:
            return (
                "realtime uses what shardlayer/__init__ exports, or shardlayer/consumers/__init__: "
                "export the name there, "
                "or (servers) move the code to a management command."
            )
    return ""


def _complaint_in_shardlayer(module: str, target: str) -> str:
    for unknown in UNKNOWN_TO_SHARDLAYER:
        if within(target, unknown):
            return f"shardlayer knows nothing of {unknown}: take it as an argument or a callback."
    if not within(target, "shardlayer") or module == "shardlayer":
        return ""
    own = module.split(".")[1]
    other = target.partition(".")[2].partition(".")[0]
    if other not in LAYER_OF:
        return "Import from the module that defines it, and name a new module in LAYERS here."
    if own not in LAYER_OF:
        return f"{own} is in no layer: add it to LAYERS here and to docs/design.md."
    if any(
        within(target, broker) and not within(module, broker) and own == "broker"
        for broker in BROKERS
    ):
        return "What is beside a broker works with any broker: move what both need to core."
    if LAYER_OF[other] > LAYER_OF[own]:
        return (
            f"{other} is above {own}: move what both need below them, "
            "or have the higher one pass it in."
        )
    if own in ADAPTERS and other in ADAPTERS and own != other:
        return "No adapter imports another: move what both need into a lower layer."
    return ""


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exports_of(source: str) -> frozenset[str]:
    """Return the names in a module's `__all__`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def test_sources_keep_the_layers() -> None:
    """No module of the three packages imports what its layer may not."""
    exported = exports_of((ROOT / "shardlayer" / "__init__.py").read_text())
    consumers = exports_of((ROOT / "shardlayer" / "consumers" / "__init__.py").read_text())
    exported |= {f"consumers.{name}" for name in consumers}
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    found = [
        message
        for path in files
        for message in violations(
            module_name(path),
            path.read_text(),
            is_package=path.name == "__init__.py",
            exported=exported,
        )
    ]
    assert len(files) > len(PACKAGES)
    assert not found, "\n" + "\n".join(found)


def circles(imports: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """Return each set of modules that import one another in a circle, from module -> imported."""
    sorter = TopologicalSorter(imports)
    found = []
    while True:
        try:
            sorter.prepare()
        except CycleError as error:
            circle = set(error.args[1])
            found.append(circle)
            imports = {  # without this one, the next is found
                module: [] if module in circle else list(imported)
                for module, imported in imports.items()
            }
            sorter = TopologicalSorter(imports)
        else:
            return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither while running nor for types alone: what both need has a module of its own."""
    paths = {
        module_name(path): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    imports: dict[str, list[str]] = {}
    for module, path in paths.items():
        is_package = path.name == "__init__.py"
        names = [name for _, name in imports_of(module, path.read_text(), is_package=is_package)]
        # `a.b.NAME` is of a.b: a name is no module.
        modules = [name if name in paths else name.rpartition(".")[0] for name in names]
        imports[module] = [name for name in modules if name in paths and name != module]
    assert sum(map(len, imports.values())) > len(paths)
    assert circles(imports) == []


def test_circles_are_found() -> None:
    """The search itself works, on made-up modules."""
    imports = {"a": ["b"], "b": ["c"], "c": ["b"], "d": ["e"], "e": ["d", "a"]}
    assert sorted(map(sorted, circles(imports))) == [
        ["b", "c"],
        ["d", "e"],
    ]
    assert circles({"a": ["b", "c"], "b": ["c"]}) == []


def test_modules_of_shardlayer_have_a_layer() -> None:
    """Every module and package of shardlayer is in exactly one layer."""
    present = {
        path.stem
        for path in (ROOT / "shardlayer").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    assert sum(map(len, LAYERS)) == len(LAYER_OF)
    assert present <= LAYER_OF.keys(), f"add to LAYERS: {sorted(present - LAYER_OF.keys())}"


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("shardlayer.client.room_client", "import django.conf", "without a project"),
        ("shardlayer.client.room_client", "from channels.layers import x", "without a project"),
        ("shardlayer.client.room_client", "from shardlayer.layer import x", "without a project"),
        (
            "shardlayer.core.wire",
            "from shardlayer.layer import ShardedChannelLayer",
            "layer is above",
        ),
        ("shardlayer.delivery.hub", "from ..channels import mailbox", "channels is above delivery"),
        (
            "shardlayer.broker.redis.redis_broker",
            "from ...layer import x",
            "layer is above broker",
        ),
        ("shardlayer.delivery.hub", "import shardlayer", "the module that defines it"),
        (
            "shardlayer.delivery.hub",
            "def f():\n    import shardlayer.server.sink",
            "server is above delivery",
        ),
        ("shardlayer.consumers", "from shardlayer.server import cli", "No adapter imports another"),
        (
            "shardlayer.broker.publisher",
            "from shardlayer.broker.redis import keys",
            "works with any broker",
        ),
        (
            "shardlayer.broker.memory.store",
            "from shardlayer.broker.redis import keys",
            "works with any broker",
        ),
        ("shardlayer.server.cli", "import realtime.conf", "knows nothing of realtime"),
        ("shardlayer.layer", "from django.conf import settings", "knows nothing of django.conf"),
        ("shardlayer.layer", "from django import conf", "knows nothing of django.conf"),
        ("shardlayer.layer", "from shardlayer import Position", "the module that defines it"),
        ("shardlayer.novelty", "from shardlayer.delivery.hub import Hub", "novelty is in no layer"),
        ("realtime.health", "from config import settings", "imported by nobody"),
        (
            "realtime.health",
            "from shardlayer.delivery.hub import Hub",
            "shardlayer/__init__ exports",
        ),
        ("realtime.health", "from shardlayer import Hub", "shardlayer/__init__ exports"),
        ("realtime.health", "import shardlayer.server.cli", "management command"),
        ("demo.embedded.valkey", "import django", "works without Django"),
        ("demo.embedded.valkey", "from realtime import conf", "stands alone"),
        ("demo.embedded.valkey", "from demo import views", "stands alone"),
        ("realtime.health", "from demo import views", "the demo is not"),
        ("shardlayer.delivery.hub", "import demo.feed", "knows nothing of demo"),
        (
            "realtime.health",
            "from shardlayer.consumers.async_consumer import AsyncConsumer",
            "exports",
        ),
    ],
)
def test_made_up_violation_is_caught(module: str, source: str, says: str) -> None:
    """The checker itself works: each rule catches a source that breaks it, and says what to do."""
    (message,) = violations(module, source, exported=frozenset({"Position"}))
    assert says in message
    assert message.startswith(f"{module}, line {source.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shardlayer.core.wire", "import struct\nfrom shardlayer.core.types import Publication"),
        ("shardlayer.broker.redis.calls", "from shardlayer.broker.redis.keys import Keys"),
        ("shardlayer.server.cli", "from shardlayer.server.sink import SocketSink"),
        ("shardlayer.client.room_client", "from shardlayer.core.types import Position"),
        ("shardlayer.layer", "from django.core.exceptions import ImproperlyConfigured"),
        ("realtime.health", "from shardlayer import Position"),
        ("realtime.health", "from shardlayer.consumers import OldConnections"),
        ("realtime.management.commands.runbalancer", "from shardlayer.balancer import Balancer"),
        ("demo.devserver.run", "from demo.embedded import EmbeddedValkey"),
        ("config.settings", "from config.environment import flag"),
    ],
)
def test_allowed_import_is_let_through(module: str, source: str) -> None:
    """What the layers allow is no violation."""
    exported = frozenset({"Position", "consumers.OldConnections"})
    assert violations(module, source, exported=exported) == []


def test_relative_import_of_a_package_is_resolved() -> None:
    """In a package's __init__ one dot is the package itself."""
    source = "from .interface import Backend\nfrom ..delivery.hub import Hub"
    found = imports_of("shardlayer.broker", source, is_package=True)
    assert list(found) == [
        (1, "shardlayer.broker.interface.Backend"),
        (2, "shardlayer.delivery.hub.Hub"),
    ]
