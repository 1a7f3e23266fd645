"""The catalogues of translations: whole, up to date and compiled."""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def messages() -> ModuleType:
    """The program behind `bin/messages`."""
    spec = importlib.util.spec_from_file_location("bin_messages", ROOT / "bin/messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for names
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A small app with a catalogue, all of which is in order."""
    folder = tmp_path / "demo"
    shutil.copytree(ROOT / "demo/locale", folder / "locale")
    shutil.copytree(ROOT / "demo/templates", folder / "templates")
    return tmp_path


def test_catalogues_are_in_order() -> None:
    """Nothing is untranslated, fuzzy, out of date or not compiled, in any language."""
    command = [sys.executable, "bin/messages.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("id", "string", "fuzzy", "fault"),
    [
        ("Rooms", "Räume", False, None),
        ("Rooms", "", False, "is not translated"),
        ("Rooms", "Räume", True, "is fuzzy"),
        ("%(count)s days", "%(count)s Tage", False, None),
        ("%(count)s days", "%(zahl)s Tage", False, "its translation ['%(zahl)s']"),
        ("%(a)s of %(b)s", "%(b)s: %(a)s", False, None),
        ("%(a)s %%", "%(a)s", False, "its translation ['%(a)s']"),
        ("key of {}", "Schlüssel", False, "its translation []"),
        (("%(n)s room", "%(n)s rooms"), ("ein Raum", "%(n)s Räume"), False, None),
        (("%(n)s room", "%(n)s rooms"), ("%(n)s Raum", "Räume"), False, "its translation []"),
        (("%(n)s room", "%(n)s rooms"), ("%(n)s Raum", ""), False, "is not translated"),
    ],
)
def test_faults_of_translations(
    id: Any, string: Any, fuzzy: bool, fault: str | None, messages: ModuleType
) -> None:
    """What is missing is told, and a placeholder that is not the original's."""
    catalogue = messages.Catalog(locale="de")
    message = catalogue.add(id, string, flags={"fuzzy"} if fuzzy else ())
    found = list(messages.faults_of(message))
    assert (found == []) if fault is None else (len(found) == 1 and fault in found[0]), found


def test_catalogue_follows_its_files(copy: Path, messages: ModuleType) -> None:
    """A text that is new is a fault until it is translated, and what is compiled too."""
    [domain] = [each for each in messages.DOMAINS if (each.app, each.name) == ("demo", "django")]
    [folder] = messages.folders(domain, copy)
    assert list(messages.faults(domain, folder, copy)) == []
    (copy / "demo/templates/new.html").write_text("{% translate 'Quite new' context 'test' %}")
    [old] = messages.faults(domain, folder, copy)
    assert "is not what the files say" in old
    po = folder / "django.po"
    fresh = messages.updated(messages.read(po), messages.extracted(domain, copy))
    po.write_bytes(messages.po_of(fresh))
    missing, compiled = messages.faults(domain, folder, copy)
    assert "'Quite new' is not translated" in missing
    assert "is not compiled" in compiled


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("a.py", "x = _('One')\ny = ngettext('a', 'b', 2)\n", [("One", None), (("a", "b"), None)]),
        ("a.py", "pgettext_lazy('where', 'up')", [("up", "where")]),
        ("a.html", "<p>{% translate 'One' context 'c' %}</p>\n    {{ x }}", [("One", "c")]),
        ("a.html", "{% blocktranslate with n=x %}It's {{ n }}.{% endblocktranslate %}",
         [("It's %(n)s.", None)]),
        ("a.js", "f(gettext(\n  'One'), ngettext('a', 'b', n))",
         [("One", None), (("a", "b"), None)]),
    ],
)  # fmt: skip
def test_texts_are_found(
    name: str, source: str, found: Any, tmp_path: Path, messages: ModuleType
) -> None:
    """Whatever marks a text: a function, a tag, a function of the page's scripts."""
    file = tmp_path / name
    file.write_text(source)
    assert list(messages.texts_of(file)) == found


def test_the_guides_catalogue_is_one(messages: ModuleType) -> None:
    """What docs/translate.md shows can be read, and is about a text that there is."""
    page = (ROOT / "docs/translate.md").read_text()
    [block] = re.findall(r"```po\n(.*?)```", page, re.DOTALL)
    shown = [each for each in messages.read_po(io.BytesIO(block.encode())) if each.id]
    assert [(each.id, each.string) for each in shown] == [("Rooms", "Kanäle")]
    assert "Rooms" in messages.extracted(messages.DOMAINS[0])
