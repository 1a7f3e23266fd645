"""docs/client.md names what the JavaScript client has, and the client has nothing else."""

from __future__ import annotations

import re
from functools import cache

from tests.docs.blocks import ROOT

TYPES = ROOT / "clients" / "js" / "types"


def declared(interface: str) -> str:
    """Return what stands in an interface of the client's types."""
    types = (TYPES / "client.d.ts").read_text()
    found = re.search(rf"^export interface {interface}\b.*?\{{\n(.*?)^\}}", types, re.M | re.S)
    assert found is not None, interface
    return found[1]


def members(interface: str) -> set[str]:
    """Return the names of an interface's members."""
    return set(re.findall(r"^  (?:readonly )?(\w+)(?:\?|<|\(|:)", declared(interface), re.M))


@cache
def page(name: str) -> str:
    """Return a page of the docs."""
    return (ROOT / "docs" / name).read_text()


def first_cells(text: str, head: str) -> list[str]:
    """Return the first cells of the table with this head."""
    table = text.split(f"\n{head}\n", 1)[1].split("\n\n", 1)[0]
    return [line.split(" | ")[0].strip("| `") for line in table.splitlines()[1:]]


def test_options() -> None:
    """Each option of the client has its row."""
    rows = first_cells(page("client.md"), "| option | default | |")
    assert sorted(rows) == sorted(members("ClientOptions"))


def test_methods() -> None:
    """Each method has its row, with the options that it takes."""
    rows = first_cells(page("client.md"), "| method | |")
    options = {row.split("(")[0]: set(re.findall(r"\w+", row.partition("{")[2])) for row in rows}
    assert len(rows) == len(options)
    assert set(options) == members("RealtimeClient")
    assert options["subscribe"] == options["subscribeToUser"] == members("SubscribeOptions")
    assert options["publish"] == members("PublishOptions")
    for name in ("history", "presence"):
        (declaration,) = re.findall(rf"^  {name}\b.*?;$", declared("RealtimeClient"), re.M | re.S)
        assert options[name] == set(re.findall(r"(\w+)\?: \w+[;}} ]", declaration)), name


def test_events() -> None:
    """Each event has its row."""
    rows = first_cells(page("client.md"), "| event | detail | |")
    events = members("ClientEvents") | members("SubscriptionEvents") | {"left"}
    assert sorted(rows) == sorted(events)


def test_error_codes() -> None:
    """The types name each code of the server and each of the client, and no other."""
    codes = first_cells(page("protocol.md"), "| code | meaning |")
    codes += first_cells(page("client.md"), "| code | |")
    types = (TYPES / "client.d.ts").read_text().split("export type ErrorCode =", 1)[1]
    union = types.split(";", 1)[0]
    assert sorted({*codes}) == sorted(re.findall(r'"(\w+)"', union))
