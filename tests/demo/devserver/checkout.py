"""A copy of the project to run `bin/dev` in, installed as `bin/install.py` leaves it."""

from __future__ import annotations

import json
import runpy
import shutil
import sysconfig
import venv
from pathlib import Path

from demo.devserver.plan import KAFKA_OFFSET, REDIS_OFFSET
from demo.embedded.ports import free_port, reserve

ROOT = Path(__file__).resolve().parents[3]
COPIED = (
    *("Procfile", "constraints.txt", "embedded.txt", "manage.py", "pyproject.toml"),
    *("bin", "config", "demo", "realtime", "shardlayer"),
)


def make_checkout(directory: Path) -> Path:
    """Copy the sources, and make a `.venv` that has the packages of the running one.

    Downloading them again would test the package index; a new clone is what CI begins with.
    """
    directory.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name)
        else:
            shutil.copy2(source, directory / name)
    _install(directory)
    return directory


def _install(directory: Path) -> None:
    environment = directory / ".venv"
    venv.create(environment, symlinks=True)
    (environment / "bin" / "pip").touch()  # as if it were there: nothing is to be installed
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    paths = [str(directory), sysconfig.get_path("purelib")]
    (packages / "checkout.pth").write_text("\n".join(paths))
    script = environment / "bin" / "shardlayer-daphne"
    script.write_text(
        f"#!{environment}/bin/python\nfrom shardlayer.server.__main__ import main\nmain()\n"
    )
    script.chmod(0o755)
    install = runpy.run_path(str(directory / "bin" / "install.py"))
    inputs = install["digest"](directory)
    stamp = {"inputs": inputs, "extra": "dev"}
    (environment / install["STAMP"].name).write_text(json.dumps(stamp))


def free_ports() -> int:
    """Return a PORT whose plan has all its ports to itself."""
    while True:
        port = free_port()
        if all(reserve(port + offset) for offset in (1, 2, 3, REDIS_OFFSET, KAFKA_OFFSET)):
            return port
