"""TLS contexts that connections share."""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable
from pathlib import Path

import pytest

from shardlayer.core.tls_contexts import shared_context


class Maker:
    """Makes contexts, and counts them; or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made = 0
        self.error = error

    def __call__(self, *_arguments: Hashable) -> ssl.SSLContext:
        self.made += 1
        if self.error is not None:
            raise self.error
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def test_one_for_all_that_is_alike() -> None:
    """Other arguments have another."""
    make = Maker()
    first = shared_context(make, "a", None)
    assert shared_context(make, "a", None) is first
    assert shared_context(make, "b", None) is not first
    assert make.made == 2


def test_arguments_that_cant_be_hashed() -> None:
    """They work, and share nothing."""
    make = Maker()
    assert shared_context(make, bytearray(b"a")) is not shared_context(make, bytearray(b"a"))


def test_failure_is_not_kept() -> None:
    """The next connection tries again."""
    make = Maker(OSError("not there yet"))
    for _ in range(2):
        with pytest.raises(OSError, match="not there yet"):
            shared_context(make)
    make.error = None
    assert shared_context(make) is shared_context(make)
    assert make.made == 3


def test_changed_file(tmp_path: Path) -> None:
    """Written in place or replaced, also by one of the same size and time; gone, or come back."""
    file = tmp_path / "file.pem"
    file.write_bytes(b"1")
    make = Maker()
    seen = [shared_context(make, files=(str(file), None))]
    times = file.stat()
    file.write_bytes(b"2")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    seen.append(shared_context(make, files=(str(file), None)))
    (tmp_path / "new").write_bytes(b"3")
    (tmp_path / "new").rename(file)
    seen.append(shared_context(make, files=(str(file), None)))
    file.unlink()
    seen.append(shared_context(make, files=(str(file), None)))
    assert len(set(map(id, seen))) == 4
    assert shared_context(make, files=(str(file), None)) is seen[-1]


def test_changed_folder(tmp_path: Path) -> None:
    """A file in any of several folders, or what a link in one leads to."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    elsewhere = tmp_path / "elsewhere.pem"
    elsewhere.write_bytes(b"1")
    (folders[1] / "0a.0").symlink_to(elsewhere)
    path = os.pathsep.join(map(str, folders))
    make = Maker()
    seen = [shared_context(make, folders=(path, None))]
    assert shared_context(make, folders=(path, None)) is seen[0]
    elsewhere.write_bytes(b"22")
    seen.append(shared_context(make, folders=(path, None)))
    (folders[0] / "0b.0").write_bytes(b"3")
    seen.append(shared_context(make, folders=(path, None)))
    assert len(set(map(id, seen))) == 3


def test_changed_certificates_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package that has them is updated while the process runs."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"1")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    make = Maker()
    before = shared_context(make)
    bundle.write_bytes(b"22")
    assert shared_context(make) is not before
