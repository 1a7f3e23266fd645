"""What docs/ says of the contract is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from uuid import uuid4

import pytest

from shardlayer.layer import ShardedChannelLayer
from tests.contract.places import ACL_RULES

ROOT = Path(__file__).resolve().parents[2]
TEST_PREFIXES = ("ours.", "theirs.")  # which the tests use besides the default


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def existing_tests() -> set[str]:
    """Return the names of all test functions of the library."""
    found: set[str] = set()
    for folder in ("contract", "shardlayer"):
        for path in (ROOT / "tests" / folder).rglob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(node.name)
    return found


def test_every_test_that_the_contract_names_exists() -> None:
    """In tables of cases the last column names ours; elsewhere every name is ours."""
    ours: set[str] = set()
    in_cases = False
    for line in read("contract.md").splitlines():
        if line.startswith("## "):
            in_cases = "case by case" in line
        if in_cases and not line.startswith("| `test_"):
            continue
        named = line.rsplit("|", 2)[1] if in_cases else line
        ours.update(re.findall(r"`(test_\w+)`", named))
    assert len(ours) > 40
    assert ours - existing_tests() == set()


def test_acl_is_the_one_that_the_tests_run_with() -> None:
    """The documented rules are those of the place `password`."""
    text = read("operate.md")
    documented = re.search(r"ACL SETUSER layer .*?```", text, re.DOTALL)
    assert documented is not None
    rules = set(re.findall(r"[~&+]\S+", documented[0]))
    expected = {rule for rule in ACL_RULES if not rule[2:].startswith(TEST_PREFIXES)}
    assert rules == expected


async def test_every_figure_is_documented() -> None:
    """docs/operate.md has a row for each of `stats()`, and for nothing else."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    await layer.new_channel()
    figures = read("operate.md").split("## Figures")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", figures, re.M)
    documented = {name for row in rows for name in re.findall(r"\w+", row)}
    assert documented == set(layer.stats())
    await layer.close()


def test_every_logger_is_documented() -> None:
    """docs/operate.md names each logger of the library, and no other."""
    used = {
        name.strip('"') if name != "__name__" else ".".join(path.relative_to(ROOT).parts)[:-3]
        for path in (ROOT / "shardlayer").rglob("*.py")
        for name in re.findall(r'getLogger\(("[\w.]+"|__name__)\)', path.read_text("utf-8"))
    }
    logs = read("operate.md").split("## Logs")[1].split("\n## ")[0]
    cells = " ".join(re.findall(r"^\| (.*?) \|", logs, re.M))
    documented = set(re.findall(r"`(shardlayer\.[\w.]+)`", cells))
    assert documented == used


@pytest.mark.parametrize("name", ["contract.md", "migrate.md", "operate.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link of these pages."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", read(name)):
        assert (ROOT / "docs" / target).exists(), target
