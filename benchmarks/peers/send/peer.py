"""How the C program is built and started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.greeting import Greeting
from benchmarks.peers.base import Peer, Unavailable

_SOURCE = Path(__file__).with_name("send.c")
_COMPILERS = ("cc", "gcc", "clang")


def _compile(folder: Path) -> None:
    compiler = next(filter(shutil.which, _COMPILERS), None)
    if compiler is None:
        raise Unavailable("no C compiler (cc, gcc or clang) was found")
    subprocess.run(
        [compiler, "-O2", "-Wall", "-o", str(folder / "send"), str(_SOURCE)], check=True, timeout=60
    )


SEND = Peer(
    name="send",
    title="C, only send(2)",
    what="A C program that calls send(2) for each member and message, with the bytes we send.",
    command=("{folder}/send", "{port}"),
    greeting=Greeting(path="/"),
    emitter="benchmarks.peers.send.emitter:SendEmitter",
    redis=False,
    build=_compile,
)
