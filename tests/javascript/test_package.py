"""The package's own tests, run by Node."""

from __future__ import annotations

from tests.javascript.conftest import PACKAGE, run


def test_node_tests_pass(node: str) -> None:
    """`node --test` in clients/js: the client's logic, without a browser."""
    tests = sorted(PACKAGE.glob("test/*.test.js"))
    assert "\n# fail 0\n" in run(node, "--test", "--test-reporter=tap", *tests)
