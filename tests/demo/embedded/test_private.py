"""What only its owner may read."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo.embedded.private import make_private_folder, password_of, write_private


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return path.stat().st_mode & 0o777


def test_folder_is_its_owners(tmp_path: Path) -> None:
    """A new folder is closed to others, and so is one that was open to all."""
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    for folder in (old, tmp_path / "new"):
        make_private_folder(folder)
        assert mode(folder) == 0o700


def test_file_is_its_owners_from_the_beginning(tmp_path: Path) -> None:
    """A file that others could read is replaced; whoever has it open sees nothing new."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    with path.open() as spy:
        write_private(path, "new")
        assert spy.read() == "old"
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_password_is_one_for_all_who_ask(tmp_path: Path) -> None:
    """Processes that start at once agree, and nothing else is left in the folder."""
    folder = tmp_path / "redis"
    with ThreadPoolExecutor(8) as pool:
        passwords = set(pool.map(lambda _: password_of(folder), range(64)))
    assert len(passwords) == 1
    assert len(passwords.pop()) >= 32
    assert os.listdir(folder) == ["password"]
    assert mode(folder / "password") == 0o600
    assert password_of(tmp_path / "other") != password_of(folder)
