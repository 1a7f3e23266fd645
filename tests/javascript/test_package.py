"""The package's own tests, run by Node."""

from __future__ import annotations

import json
import re

import pytest

from tests import tools
from tests.javascript.conftest import PACKAGE, run

pytestmark = pytest.mark.slow

FRAMEWORKS = ("react", "vue", "svelte")
PARTS = ("client.js", "client.iife.js", "client-shared.js", "client-sse.js", "element.js")
SCRIPTS = (*PARTS, *(f"{framework}.js" for framework in FRAMEWORKS))
TYPES = {f"types/{name}.d.ts" for name in ("client", "element", "watch", *FRAMEWORKS)}


def test_node_tests_pass(node: str) -> None:
    """`node --test` in clients/js: the client's logic, without a browser."""
    tests = sorted(PACKAGE.glob("test/*.test.js"))
    assert "\n# fail 0\n" in run(node, "--test", "--test-reporter=tap", *tests)


def test_types_fit_the_sources(node: str) -> None:
    """The compiler of TypeScript checks the sources, the declared types, and a use of them."""
    run(node, "node_modules/typescript/bin/tsc")


def test_pack_holds_what_pages_need(node: str) -> None:
    """What is built, the types, and the words about it; no sources, tests or tools."""
    npm = tools.find("npm") or ""
    (packed,) = json.loads(run(npm, "pack", "--dry-run", "--json", "--ignore-scripts"))
    built = {f"dist/{name}" for script in SCRIPTS for name in (script, f"{script}.map")}
    about = {"LICENSE", "README.md", "package.json"}
    assert {file["path"] for file in packed["files"]} == built | about | TYPES


def test_package_has_the_license_of_the_server() -> None:
    """One license for all of it."""
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[1] / "LICENSE").read_text()


def test_exports_exist(node: str) -> None:
    """Each way into the package has its file and its types."""
    exports = json.loads((PACKAGE / "package.json").read_text())["exports"]
    for target in exports.values():
        for path in [target] if isinstance(target, str) else target.values():
            assert (PACKAGE / path).is_file(), path


def declared(name: str) -> set[str]:
    """Return the values that a file of types declares."""
    types = (PACKAGE / "types" / f"{name}.d.ts").read_text()
    return set(re.findall(r"^export (?:const|function|class) (\w+)", types, re.M))


def test_types_declare_what_is_exported(node: str) -> None:
    """Each file exports the names that its types declare, and no other."""
    for name in ("client", "element", *FRAMEWORKS):
        built = (PACKAGE / "dist" / f"{name}.js").read_text()
        (exported,) = re.findall(r"export\s?\{([^}]*)\}", built)
        assert {each.split(" as ")[-1] for each in exported.split(",")} == declared(name), name
    code = 'await import("./dist/client.iife.js"); console.log(Object.keys(Shardlayer).join())'
    shown = run(node, "--input-type=module", "--eval", code).strip()
    assert set(shown.split(",")) == declared("client")


def test_package_loads_without_a_page(node: str) -> None:
    """A server that renders pages may import it, and make a client that is never connected."""
    code = """
    import { BEGINNING, RealtimeClient, newKey } from "@shardlayer/client";
    const client = new RealtimeClient("wss://example.org/ws/");
    client.subscribe("orders", () => {}, { since: BEGINNING });
    console.log(client.status.state, newKey().length);
    """
    assert run(node, "--input-type=module", "--eval", code) == "offline 32\n"
