"""The catalogues of translations: `bin/messages` writes them, `bin/messages --check` judges them.

Django's own `makemessages` and `compilemessages` do the same, where GNU gettext is installed. This
needs Babel alone, and also says what is missing.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[1]
KEYWORDS = {
    "_": None,
    **dict.fromkeys(("gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
_placeholders = re.compile(r"%\(\w+\)s|%%|(?<!%)%[sd]|\{\w*\}").findall


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Texts that one catalogue of each language has.

    Attributes:
        app: The folder of a Django app.
        name: `django`, or `djangojs` for what scripts say.
        files: Patterns of the files, below the app.
    """

    app: str
    name: str
    files: tuple[str, ...]


DOMAINS = (
    Domain(app="realtime", name="django", files=("**/*.py", "templates/**/*.html")),
    Domain(app="demo", name="django", files=("**/*.py", "templates/**/*.html")),
    Domain(app="demo", name="djangojs", files=("static/**/*.js",)),
)


def texts_of(path: Path) -> Iterator[tuple[str | tuple[str, ...], str | None]]:
    """Yield what a file marks for translation, each with its context or None."""
    source, method = path.read_text(), "python"
    if path.suffix == ".html":
        # What is not to be translated has become X, in lines that begin anywhere.
        lines = templatize(source, origin=str(path)).splitlines()
        source = "\n".join(line.strip() for line in lines)
    elif path.suffix == ".js":
        method = "javascript"
    found = extract(method, io.BytesIO(source.encode()), keywords=KEYWORDS)
    for _line, text, _comments, context in found:
        yield text, context


def extracted(domain: Domain, root: Path = ROOT) -> Catalog:
    """Return all that a domain's files mark, each with the files that it is in."""
    catalogue = Catalog(charset="utf-8")
    app = root / domain.app
    for path in sorted({path for pattern in domain.files for path in app.glob(pattern)}):
        for text, context in texts_of(path):
            place = (path.relative_to(root).as_posix(), 0)
            message = catalogue.add(text, context=context, locations=[place])
            texts = (text,) if isinstance(text, str) else text
            if any("%(" in each for each in texts):
                message.flags.add("python-format")
    return catalogue


def folders(domain: Domain, root: Path = ROOT) -> list[Path]:
    """Return the folders of a domain's languages."""
    return sorted((root / domain.app / "locale").glob("*/LC_MESSAGES"))


def updated(old: Catalog, fresh: Catalog) -> Catalog:
    """Return a catalogue of what there is now, with the translations that there were."""
    merged = Catalog(locale=old.locale, charset="utf-8", fuzzy=False, header_comment="#")
    for message in fresh:
        if message.id:
            before = old.get(message.id, message.context)
            merged.add(
                message.id,
                None if before is None or before.fuzzy else before.string,
                locations=sorted(set(message.locations)),
                flags=message.flags - {"fuzzy"},
                context=message.context,
            )
    return merged


def po_of(catalogue: Catalog) -> bytes:
    """Return the text of a catalogue; the same for the same, without times."""
    file = io.BytesIO()
    write_po(file, catalogue, omit_header=True, include_lineno=False, sort_output=True, width=100)
    return header_of(catalogue) + file.getvalue()


def mo_of(catalogue: Catalog) -> bytes:
    """Return the compiled form of a catalogue."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def header_of(catalogue: Catalog) -> bytes:
    """Return what a catalogue says of itself."""
    return (
        "# Written by bin/messages; translate here, and run it again. See docs/translate.md.\n"
        'msgid ""\nmsgstr ""\n'
        f'"Language: {catalogue.locale_identifier}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=UTF-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {catalogue.plural_forms}\\n"\n\n'
    ).encode()


def faults_of(message: Message) -> Iterator[str]:
    """Say what is wrong with a translation."""
    ids, strings = _forms(message.id), _forms(message.string)
    if message.fuzzy:
        yield f"{ids[0]!r} is fuzzy"
    if not strings or not all(strings):
        yield f"{ids[0]!r} is not translated"
        return
    wanted = {name for text in ids for name in _placeholders(text)}
    for string in strings:
        found = set(_placeholders(string))
        # One of several forms may do without a number, as "one room" does.
        if found != wanted and not (len(strings) > 1 and found <= wanted and string != strings[-1]):
            yield f"{ids[0]!r} has {sorted(wanted)}, its translation {sorted(found)}"
        if len(ids[0]) - len(ids[0].lstrip()) != len(string) - len(string.lstrip()):
            yield f"{ids[0]!r} and its translation begin differently"


def faults(domain: Domain, folder: Path, root: Path = ROOT) -> Iterator[str]:
    """Say what is wrong with a catalogue: not whole, not up to date, or not compiled."""
    po, mo = folder / f"{domain.name}.po", folder / f"{domain.name}.mo"
    name = po.relative_to(root).as_posix()
    catalogue = read(po)
    for message in catalogue:
        if message.id:
            yield from (f"{name}: {fault}" for fault in faults_of(message))
    if po.read_bytes() != po_of(updated(catalogue, extracted(domain, root))):
        yield f"{name} is not what the files say: run bin/messages"
    with mo.open("rb") as file:
        compiled = read_mo(file)
    if strings_of(catalogue) != strings_of(compiled):
        yield f"{name} is not compiled: run bin/messages"


def strings_of(catalogue: Catalog) -> dict[tuple[object, ...], tuple[str, ...]]:
    """Return the translations of a catalogue, by what they are of."""
    return {(*_forms(each.id), each.context): _forms(each.string) for each in catalogue if each.id}


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    if text is None:
        return ()
    return (text,) if isinstance(text, str) else tuple(text)


def read(po: Path) -> Catalog:
    """Return a catalogue; of a language's folder."""
    with po.open("rb") as file:
        return read_po(file, locale=po.parent.parent.name)


def main(words: Iterable[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="bin/messages", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail at a fault")
    parser.add_argument("--add", metavar="LANGUAGE", help="begin another language, such as fr")
    options = parser.parse_args(None if words is None else list(words))
    settings.configure()
    if options.add:
        for domain in DOMAINS:
            folder = ROOT / domain.app / "locale" / options.add / "LC_MESSAGES"
            folder.mkdir(parents=True, exist_ok=True)
            po = folder / f"{domain.name}.po"
            if not po.exists():
                po.write_bytes(header_of(Catalog(locale=options.add)))
    wrong: list[str] = []
    for domain in DOMAINS:
        for folder in folders(domain):
            if not options.check:
                po = folder / f"{domain.name}.po"
                catalogue = updated(read(po), extracted(domain))
                po.write_bytes(po_of(catalogue))
                po.with_suffix(".mo").write_bytes(mo_of(catalogue))
            wrong += faults(domain, folder)
    print("\n".join(wrong) or "All texts are translated.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
