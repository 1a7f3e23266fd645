"""Runs the Python of the pages: one process for each page, in the page's order.

`python -m tests.docs.run_blocks` reads a list of blocks (JSON) and writes what failed, by place.
A block whose first line names a file is that module. The others share the page's namespace. What
a block sets for the settings is loaded, and Django's system checks must have nothing to say of it.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import sys
import traceback
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import django
from django.core import checks
from django.core.management import call_command
from django.test import override_settings

from tests.docs.given import GIVEN

_SETTINGS = ("settings.py",)
_NOBODY = "//127.0.0."  # where the addresses of examples lead; nobody is there, and a check says so
_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


async def _awaited(code: Any, names: dict[str, Any]) -> None:
    await eval(code, names)


class PageRun:
    """One page."""

    def __init__(self, page: str) -> None:
        self.failed: dict[str, str] = {}
        self.names: dict[str, Any] = {"__name__": "page", **self._settings()}
        self._settings_to_check: list[tuple[str, dict[str, Any]]] = []
        self._loop = asyncio.Runner()
        exec(GIVEN.get(page, ""), self.names)

    @staticmethod
    def _settings() -> dict[str, Any]:
        """Return what a block may add to."""
        from django.conf import settings

        return {
            "BASE_DIR": Path(os.environ["DOCS_FOLDER"]),
            "INSTALLED_APPS": list(settings.INSTALLED_APPS),
            "REALTIME": dict(settings.REALTIME),
        }

    def run(self, blocks: list[dict[str, Any]]) -> None:
        """Run its blocks, then check the settings, which may name what comes later."""
        for block in blocks:
            self._note(block["place"], lambda block=block: self._block(block))
        for place, found in self._settings_to_check:
            self._note(place, lambda found=found: self._check(found))
        self._loop.close()

    def _note(self, place: str, do: Any) -> None:
        try:
            do()
        except Exception:
            self.failed[place] = traceback.format_exc(limit=-4)

    def _block(self, block: dict[str, Any]) -> None:
        file: str | None = block["file"]
        before = dict(self.names)
        names = self.names
        if file is not None and file not in _SETTINGS:
            names = self._module(file)
        for statement in ast.parse(block["code"]).body:
            tree = ast.Module([statement], [])
            code = compile(tree, block["place"], "exec", flags=_AWAITS)
            if code.co_flags & inspect.CO_COROUTINE:
                self._loop.run(_awaited(code, names))
            else:
                exec(code, names)
        self.names.update({name: value for name, value in names.items() if name[:2] != "__"})
        found = {
            name: value
            for name, value in self.names.items()
            if name.isupper() and (name not in before or before[name] is not value)
        }
        if "INSTALLED_APPS +=" in block["code"]:
            found["INSTALLED_APPS"] = self.names["INSTALLED_APPS"]
        if 'REALTIME["' in block["code"]:
            found["REALTIME"] = self.names["REALTIME"]
        if found:
            self._settings_to_check.append((block["place"], found))

    def _module(self, file: str) -> dict[str, Any]:
        """Make the module that a file is, with what the page said before; return its names."""
        name = file.removesuffix(".py").replace("/", ".")
        package, _, last = name.rpartition(".")
        if package and package not in sys.modules:
            try:
                __import__(package)
            except ImportError:
                sys.modules[package] = ModuleType(package)
        module = sys.modules.setdefault(name, ModuleType(name))
        if package:
            setattr(sys.modules[package], last, module)
        else:  # asgi.py, urls.py: a piece of a file whose other pieces the page showed
            vars(module).update({k: v for k, v in self.names.items() if k[:2] != "__"})
        return vars(module)

    @staticmethod
    def _check(found: dict[str, Any]) -> None:
        found = {**found, "INSTALLED_APPS": list(dict.fromkeys(found.get("INSTALLED_APPS", ())))}
        if not found["INSTALLED_APPS"]:
            del found["INSTALLED_APPS"]
        with override_settings(**found):
            said = [
                str(item)
                for item in checks.run_checks()
                if not (item.id == "shardlayer.W001" and _NOBODY in item.msg)
            ]
            if "LOGGING" in found:
                import logging.config

                logging.config.dictConfig(found["LOGGING"])
            if "CHANNEL_LAYERS" in found:
                from channels.layers import ChannelLayerManager

                ChannelLayerManager().configs  # noqa: B018
        if said:
            raise AssertionError("\n".join(said))


def main() -> None:
    """Fork a process for each page, so that none finds what another left."""
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    failed: dict[str, str] = {}
    blocks = json.load(sys.stdin)
    for page, group in groupby(blocks, lambda block: str(block["page"])):
        found = list(group)
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.close(reading)
            os.dup2(2, 1)  # what a block prints is none of the answer
            try:
                run = PageRun(page)
                run.run(found)
                answer = run.failed
            except BaseException:
                answer = {page: traceback.format_exc()}
            with os.fdopen(writing, "w") as pipe:
                json.dump(answer, pipe)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            failed |= json.loads(pipe.read() or json.dumps({page: "the process ended"}))
        os.waitpid(child, 0)
    json.dump(failed, sys.stdout)


if __name__ == "__main__":
    main()
