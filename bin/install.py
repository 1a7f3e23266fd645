"""`python bin/install.py EXTRA [ARGUMENT...]`: makes `.venv`, installs the project with an extra
(`embedded`, or `dev`, which has all) and becomes `.venv/bin/python ARGUMENT...`, if any is given.

Standard library only: it runs before anything is installed. The versions are those of
constraints.txt. What was installed is noted in `.venv/installed.json`, so that nothing is done
when neither pyproject.toml nor constraints.txt changed. VENV in the environment names another
folder than `.venv`, such as one for another Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

VENV = Path(os.environ.get("VENV") or ".venv")
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
PROJECT = Path("pyproject.toml")
CONSTRAINTS = Path("constraints.txt")
EMBEDDED = Path("embedded.txt")  # wheels with programs in them, and their hashes
WIDENING = ("embedded", "dev")  # each extra holds those before it
PIP = ("-m", "pip", "--disable-pip-version-check")
OUTPUT_LINES = 20  # of pip's, when it fails


def main(arguments: list[str]) -> int:
    """Install, and become what the further arguments say; return the exit code otherwise."""
    extra, *command = arguments
    if extra not in WIDENING:
        print(f"bin/install.py: {extra!r} is none of {', '.join(WIDENING)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # subprocess.run then ends its child
    try:
        ensure(extra)
    except KeyboardInterrupt:
        return 130
    except subprocess.CalledProcessError as error:
        lines = (error.stdout or "").strip().splitlines()[-OUTPUT_LINES:]
        print("The packages could not be installed:", *lines, sep="\n  ", file=sys.stderr)
        return 1
    if command:
        os.execv(PYTHON, [str(PYTHON), *command])  # noqa: S606 - what bin/dev asks for
    return 0


def ensure(extra: str) -> None:
    """Make the virtual environment and install what is missing in it."""
    stamp = read_stamp()
    inputs = digest()
    widest = max(extra, str(stamp.get("extra", WIDENING[0])), key=WIDENING.index)
    if stamp.get("inputs") == inputs and stamp.get("extra") == widest and works():
        return
    if not works():
        began = time.monotonic()
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True, symlinks=True)
        report("environment", began, f"{VENV}, Python {sys.version.split()[0]}")
    began = time.monotonic()
    STAMP.unlink(missing_ok=True)  # an installation that is broken off must not pass for one
    pip("--require-hashes", "--no-deps", "--requirement", str(EMBEDDED))
    pip("--constraint", str(CONSTRAINTS), "--editable", f".[{widest}]")
    STAMP.write_text(json.dumps({"inputs": inputs, "extra": widest}))
    report("packages", began, f"the project with its extra {widest!r}, versions of {CONSTRAINTS}")


def pip(*arguments: str) -> None:
    """Install what the arguments say."""
    subprocess.run(
        [PYTHON, *PIP, "install", "--quiet", "--no-input", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def works() -> bool:
    """Say whether the environment can be used: its base Python may be gone, the folder moved."""
    probe = "import sys; print(sys.version_info >= (3, 11), sys.prefix)"
    try:
        said = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True).stdout
    except OSError:
        return False
    return said.strip() == f"True {VENV.absolute()}" and (VENV / "bin" / "pip").exists()


def digest(folder: Path = Path()) -> str:
    """Return a digest of what decides which packages are installed."""
    files = (PROJECT, CONSTRAINTS, EMBEDDED)
    return hashlib.sha256(b"\0".join((folder / file).read_bytes() for file in files)).hexdigest()


def read_stamp() -> dict[str, str]:
    """Return the note of the last installation, empty if there is none that holds."""
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if stamp.get("extra") in WIDENING else {}


def report(name: str, began: float, note: str) -> None:
    """Print one step's line, as demo/devserver/steps.py does."""
    print(f"  {name:<12}{time.monotonic() - began:6.1f} s  {note}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
