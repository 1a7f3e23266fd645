"""`bin/units`: writes what supervisors read, from the Procfile. Exit code 1 if a check fails."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo.devserver.errors import DevServerError
from demo.devserver.procfile import parse_procfile, with_workers
from demo.supervision.place import Place
from demo.supervision.supervisor_file import supervisor_file
from demo.supervision.systemd_units import systemd_units

OUTPUT = Path("deploy")
PATTERNS = ("supervisor/*.conf", "systemd/*.service", "systemd/*.target")  # all are generated


# Supervisor and systemd each have their own way with blanks, quotes and percent signs.
_is_plain = re.compile(r"/[A-Za-z0-9/._-]*").fullmatch
_is_user = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*").fullmatch


def files(commands: Mapping[str, str], place: Place) -> Iterator[tuple[str, str]]:
    """Yield path, below the output, and text of each file for the parts of a Procfile."""
    yield "supervisor/shardlayer.conf", supervisor_file(commands, place)
    for name, text in systemd_units(commands, place):
        yield f"systemd/{name}", text


def main() -> int:
    """Write the files, or say which are not as they would be written."""
    parser = argparse.ArgumentParser(
        prog="bin/units",
        description="Write the configuration of Supervisor and the units of systemd from the "
        "Procfile.",
    )
    parser.add_argument("--directory", default=Place().directory, help="the checkout (%(default)s)")
    parser.add_argument("--user", default=Place().user, help="who runs it (%(default)s)")
    parser.add_argument(
        "--environment", default=Place().environment, help="file of variables (%(default)s)"
    )
    parser.add_argument(
        "--open-files",
        type=_positive,
        default=Place().open_files,
        help="how many each part may have open (%(default)s)",
    )
    parser.add_argument(
        "--workers", metavar="COUNT", help="how many there are (as the Procfile has)"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to (%(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if files differ")
    options = parser.parse_args()
    for name in ("directory", "environment"):
        if not _is_plain(getattr(options, name)):
            parser.error(f"--{name} must be an absolute path of letters, digits and / . _ -")
        if not getattr(options, name).strip("/"):
            parser.error(f"--{name} / is the root of the file system")
    if not _is_user(options.user):
        parser.error("--user must be a name of letters, digits and . _ -")
    place = Place(
        directory=options.directory.rstrip("/"),
        user=options.user,
        environment=options.environment,
        open_files=options.open_files,
    )
    commands = parse_procfile(Path("Procfile").read_text())
    if options.workers is not None:
        try:
            commands = with_workers(commands, options.workers)
        except DevServerError as error:
            parser.error(str(error).replace("WORKERS=", "--workers "))
    wanted = dict(files(commands, place))
    stale = [
        path
        for pattern in PATTERNS
        for path in options.output.glob(pattern)
        if str(path.relative_to(options.output)) not in wanted
    ]
    changed = [
        name
        for name, text in wanted.items()
        if not (options.output / name).exists() or (options.output / name).read_text() != text
    ]
    if options.check:
        for name in [*changed, *map(str, stale)]:
            print(f"bin/units: {name} is not current; run bin/units", file=sys.stderr)
        return bool(changed or stale)
    try:
        for path in stale:
            path.unlink()
        for name in changed:
            (options.output / name).parent.mkdir(parents=True, exist_ok=True)
            (options.output / name).write_text(wanted[name])
            print(options.output / name)
    except OSError as error:
        print(f"bin/units: {error.filename} can't be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
