"""How each block is run: by its language and its page. What has no way here fails the tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.blocks import Block, all_blocks

# Pages whose tests run these languages: as a project of their own, with servers and a browser.
OWN_TESTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("README.md", "console"): "tests/browser/test_readme.py",
        ("README.md", "python"): "tests/browser/test_readme.py",
        ("README.md", "html+django"): "tests/browser/test_readme.py",
        ("tutorial.md", "console"): "tests/packaging/test_tutorial_page.py",
        ("tutorial.md", "python"): "tests/packaging/test_tutorial_page.py",
        ("tutorial.md", "toml"): "tests/packaging/test_tutorial_page.py",
        ("tutorial.md", "html+django"): "tests/packaging/test_tutorial_page.py",
        ("testing.md", "python"): "tests/realtime/testing/test_testing_guide.py",
        ("testing.md", "toml"): "tests/realtime/testing/test_testing_guide.py",
        ("recipes.md", "python"): "tests/recipes/test_recipes.py",
        ("live.md", "html+django"): "tests/browser/test_live_guide.py",
        ("consumers.md", "python"): "tests/shardlayer/consumers/test_documentation.py",
        ("consumers.md", "diff"): "tests/shardlayer/consumers/test_documentation.py",
        ("server.md", "python"): "tests/docs/test_server_page.py",
        ("python-client.md", "python"): "tests/docs/test_client_pages.py",
        ("protocol.md", "python"): "tests/docs/test_client_pages.py",
        ("translate.md", "po"): "tests/translations/test_catalogues.py",
    }
)

# What can't run here, by page and a line of the block, with the reason. test_exceptions counts it.
EXCEPTIONS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (
            "design.md",
            "│ realtime/                                                     │",
        ): "a drawing",
        (
            "operate.md",
            "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter",
        ): ("needs an exporter, which a reader chooses; tests/realtime/tracing/ has the SDK's own"),
        ("server.md", "bytes ──► Sniffer ──► Upgrade: websocket?"): (
            "a drawing; tests/server/test_server.py goes both ways of it"
        ),
        ("design.md", "      NEW ────────────────► ENTERING ────────► ADMITTED ──────────► LIVE"): (
            "a drawing; tests/shardlayer/delivery/test_room.py holds the states"
        ),
    }
)

_BY_LANGUAGE: Mapping[str, str] = MappingProxyType(
    {
        "python": "python",
        "sh": "commands",
        "console": "commands",
        "json": "json",
        "yaml": "yaml",
        "html": "template",
        "html+django": "template",
        "js": "script",
        "ts": "typescript",
        "tsx": "typescript",
        "diff": "diff",
        "haproxy": "haproxy",
        "nginx": "nginx",
        "ini": "units",
    }
)


def exception_of(block: Block) -> tuple[str, str] | None:
    """Return the key in EXCEPTIONS under which a block stands."""
    for page, line in EXCEPTIONS:
        if page == block.page and line.strip() in block.code:
            return page, line
    return None


def blocks_by(way: str) -> list[Block]:
    """Return the blocks that are run in one way; "unknown" are those that nothing runs."""
    return [block for block in all_blocks() if _way_or_unknown(block) == way]


def _way_or_unknown(block: Block) -> str:
    try:
        return way_of(block)
    except LookupError:
        return "unknown"


def way_of(block: Block) -> str:
    """Return how a block is run: a name that test_code_blocks.py has a test for.

    Raises:
        LookupError: Nobody knows. Give the block a language, or write a test for it.
    """
    if exception_of(block) is not None:
        return "exception"
    if (block.page, block.language) in OWN_TESTS:
        return "own test"
    if block.language == "text":
        first = block.code.lstrip()
        if first.startswith(("→ ", "← ", '{"')):
            return "frames"
        if first.startswith("retry:"):
            return "event stream"
        if first.startswith("ACL "):
            return "redis"
    elif block.language in _BY_LANGUAGE:
        return _BY_LANGUAGE[block.language]
    raise LookupError(f"{block.place}: nothing runs a block of {block.language!r} that begins so")
