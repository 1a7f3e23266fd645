"""Whether a command in the docs would be taken: the program is there, and has the options."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError, OutputWrapper

from benchmarks.arguments import read_arguments
from shardlayer.server.cli import CommandLineInterface
from tests.docs.blocks import ROOT

# Programs of others, which a reader has or not: only the shell's grammar is looked at. Those of
# docs/recipes.md are run by tests/recipes/test_recipes.py.
OTHERS = {
    *("celery", "dramatiq", "gunicorn", "django-admin"),
    *("cp", "curl", "docker", "echo", "k6", "kill", "kubectl", "redis-cli", "socat", "systemctl"),
    *("export", "set", ".", "for", "do", "done", "until", "sleep", "xargs"),
}
_PLACEHOLDERS = re.compile(r"[][…]")


class Refused(Exception):
    """A command would not be taken; says why."""


def commands_of(code: str, *, console: bool) -> list[str]:
    """Return the commands of a block, one a line; of a console those behind the prompt."""
    lines = code.replace("\\\n", " ").splitlines()
    if console:
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip()]


def check_grammar(code: str) -> None:
    """Have a shell read it, and run nothing.

    Raises:
        Refused: It is no shell script.
    """
    bash = shutil.which("bash") or "/bin/sh"
    done = subprocess.run([bash, "-n"], input=code, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)


def check_command(line: str, *, whole: bool = True) -> None:
    """Look at one command.

    Args:
        whole: Whether it has all arguments that it needs: a sentence may name a command alone.

    Raises:
        Refused: There is no such program, subcommand or option.
    """
    if "manage.py " in line:
        line = _PLACEHOLDERS.sub(" ", line)
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):  # variables
        words = words[1:]
    if ">" in words:  # its output goes to a file
        words = words[: words.index(">")]
    if not words:
        return
    if words[0] == "python":
        words = words[1:]
    match words:
        case ["manage.py", name, *arguments] | ["-m", "django", name, *arguments]:
            _check_django(name, arguments, whole=whole)
        case ["shardlayer-daphne", *arguments]:
            _check_server(arguments)
        case ["pip", "install", *wanted]:
            _check_extras(wanted)
        case ["-m", "benchmarks", *arguments]:
            _check_benchmarks(arguments, line)
        case ["-m", "pytest", *arguments]:
            _check_pytest(arguments)
        case [program, *arguments] if program.startswith("bin/"):
            _check_script(program, arguments)
        case [program, *_] if program in OTHERS:
            pass
        case _:
            raise Refused(f"{line}: nobody knows this program")


def _check_benchmarks(arguments: list[str], line: str) -> None:
    """Have their own parser read the arguments; it would end the process."""
    try:
        read_arguments(arguments)
    except SystemExit as error:
        if error.code not in (0, None):
            raise Refused(line) from error


def _check_django(name: str, arguments: list[str], *, whole: bool) -> None:
    if name not in get_commands():
        raise Refused(f"there is no command {name}")
    command = load_command_class(get_commands()[name], name)
    command.stderr = OutputWrapper(sys.stderr)
    parser = command.create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except (CommandError, SystemExit) as error:
        asks_for_help = isinstance(error, SystemExit) and not error.code
        is_part = re.search(r"arguments are required|invalid choice: '[A-Z]+'", str(error))
        if asks_for_help or (not whole and is_part):
            return
        raise Refused(f"manage.py {name} {' '.join(arguments)}: {error}") from error


def _check_server(arguments: list[str]) -> None:
    """Have our server's own parser read its options."""
    try:
        CommandLineInterface().parser.parse_args(arguments)
    except SystemExit as error:
        raise Refused(f"shardlayer-daphne {' '.join(arguments)}") from error


@cache
def _extras() -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return frozenset(project["optional-dependencies"])


def _check_extras(wanted: list[str]) -> None:
    for word in wanted:
        found = re.fullmatch(r"(?:shardlayer|\.)\[(.*)\]", word)
        if found and (missing := set(found[1].split(",")) - _extras()):
            raise Refused(f"there is no extra {missing}")


def _check_pytest(arguments: list[str]) -> None:
    options = (ROOT / "tests" / "conftest.py").read_text()
    for word in arguments:
        if word.startswith("--") and f'"{word}"' not in options:
            raise Refused(f"pytest has no {word} here")
        if word.startswith("tests/") and not (ROOT / word).exists():
            raise Refused(f"there is no {word}")


def _check_script(program: str, arguments: list[str]) -> None:
    path = ROOT / program
    if not path.is_file():
        raise Refused(f"there is no {program}")
    options = [word for word in arguments if word.startswith("--")]
    if options and program == "bin/test":
        return  # hands them to pytest
    source = _sources(path)
    for option in options:
        if f'"{option}"' not in source:
            raise Refused(f"{program} has no {option}")


def _sources(path: Path) -> str:
    """Return a script, with the module that it hands its arguments to."""
    text = path.read_text()
    for module in re.findall(r"-m (\w+(?:\.\w+)*)", text):
        place = ROOT.joinpath(*module.split("."))
        files = [place.with_suffix(".py")] if not place.is_dir() else sorted(place.glob("*.py"))
        text += "".join(file.read_text() for file in files if file.exists())
    return text
