"""Every place that the docs name exists: paths, dotted names, links."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

PATH = re.compile(
    r"(?<![\w./:@-])(?:shardlayer|realtime|clients|demo|config|tests|benchmarks|bin|docs|\.ci)/[\w./*-]*[\w*/]"
)
STATIC = re.compile(r"\{% static '(realtime/[^']+)' %\}")
DOTTED = re.compile(r"(?<![\w./-])(?:shardlayer|realtime)(?:\.\w+)+")
NOT_A_MODULE = re.compile(  # the ids of system checks; what the pytest fixture has
    r"(realtime|shardlayer)\.[EW]\d+|realtime\.(captured_publications|communicator|publications)$"
)
FILE = re.compile(r"(?<![\w./*{-])(?!test_)[\w/]+\.(?:py|lua)\b")  # also by its last part alone
NOT_OURS = {"manage.py", "_state.py"}  # a project's; h11's
EXAMPLES = (
    "shop/",
    "browser/",
    "mysite/",
    "myproject/",
    "chat/",
)  # begin the files of projects that the docs make up
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


@cache
def loggers() -> frozenset[str]:
    """Return the names of loggers, of which a few are no module's."""
    sources = [path.read_text() for path in (ROOT / "shardlayer").rglob("*.py")]
    return frozenset(re.findall(r'getLogger\("([\w.]+)"\)', "".join(sources)))


def exists(dotted: str) -> bool:
    """Tell whether a dotted name is a module, or a name in one."""
    place = ROOT
    parts = dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").is_file():
        source = (place / f"{parts.pop(0)}.py").read_text()
    else:
        source = (place / "__init__.py").read_text()
    return all(re.search(rf"\b{name}\b", source) for name in parts)


@cache
def files() -> frozenset[str]:
    """Return the path of each source file, and each end of it: `a/b.py` and `b.py`."""
    folders = ("shardlayer", "realtime", "demo", "config", "tests", "benchmarks", "bin")
    paths = [
        path.relative_to(ROOT)
        for folder in folders
        for suffix in ("py", "lua")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    ]
    return frozenset(
        "/".join(path.parts[start:]) for path in paths for start in range(len(path.parts))
    )


def missing_files(text: str) -> set[str]:
    """Return which source files a text names that are not there."""
    named = {name for name in FILE.findall(text) if not name.startswith(EXAMPLES)}
    return named - files() - NOT_OURS


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's titles, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    """One page of the documentation."""

    def test_paths_exist(self, page: Path) -> None:
        """What reads as a path in the repository is one; `*` stands for any name."""
        text = STATIC.sub(r"realtime/static/\1", page.read_text())
        named = set(PATH.findall(text))
        assert not {path for path in named if not any(ROOT.glob(path.rstrip("/")))}
        assert not missing_files(page.read_text())

    def test_dotted_names_exist(self, page: Path) -> None:
        """What reads as a module, or a name in one, is that; so are loggers."""
        named = set(DOTTED.findall(page.read_text())) - loggers()
        assert not {name for name in named if not NOT_A_MODULE.match(name) and not exists(name)}

    def test_links_lead_somewhere(self, page: Path) -> None:
        """Each relative link leads to a file, and to a title in it."""
        for link in LINK.findall(page.read_text()):
            target, _, anchor = link.partition("#")
            path = (page.parent / target).resolve() if target else page
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("package", ["shardlayer", "realtime", "demo"])
def test_files_that_comments_name_exist(package: str) -> None:
    """Where a docstring or a comment says `see room.py`, there is such a file."""
    sources = [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.lua")]
    found = {str(path): missing_files(path.read_text()) for path in sources}
    assert not {path: names for path, names in found.items() if names}


def test_made_up_places_are_found_out() -> None:
    """The patterns find what they are for, and the search knows what is not there."""
    text = "`shardlayer/core/wire.py`, [a](docs/design.md#words), `shardlayer.layer.Node`"
    assert PATH.findall(text) == ["shardlayer/core/wire.py", "docs/design.md"]
    assert DOTTED.findall(text) == ["shardlayer.layer.Node"]
    assert LINK.findall(text) == ["docs/design.md#words"]
    assert missing_files("see wire.py, core/wire.py, conversion.py") == {"conversion.py"}
    assert exists("shardlayer.layer.ShardedChannelLayer")
    assert exists("realtime.sending.publish")
    assert not exists("shardlayer.hub.Hub")
    assert not exists("shardlayer.delivery.hub.Hubbub")
