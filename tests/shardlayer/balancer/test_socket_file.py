"""The socket at which workers join: whose it is, and who may."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from shardlayer.balancer.socket_file import MAX_PATH, Peer, SocketFile, SocketFileError, peer_of

STRANGER = Peer(pid=1, uid=os.geteuid() + 4711, gid=os.getegid() + 4711)


def test_own_processes_only(tmp_path: Path) -> None:
    """Without a group: this user's and root's, by the file's mode and by a look at each."""
    made = SocketFile(str(tmp_path / "socket"))
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o600
    assert made.may_join(Peer(pid=1, uid=os.geteuid(), gid=STRANGER.gid))
    assert made.may_join(Peer(pid=1, uid=0, gid=0))
    assert not made.may_join(STRANGER)
    made.close()
    assert not Path(made.path).exists()


def test_group(tmp_path: Path) -> None:
    """With one, its members as well; a stranger still not."""
    own = grp.getgrgid(os.getegid())
    made = SocketFile(str(tmp_path / "socket"), own.gr_name)
    found = os.stat(made.path)
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, own.gr_gid)
    assert made.may_join(Peer(pid=1, uid=STRANGER.uid, gid=own.gr_gid))
    assert not made.may_join(STRANGER)
    made.close()


def test_peer() -> None:
    """The kernel says who is at the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours).uid in (-1, os.geteuid())


def test_dead_socket_is_replaced(tmp_path: Path) -> None:
    """One that a killed balancer left; but neither a live one nor another kind of file."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    made = SocketFile(str(path))
    with pytest.raises(SocketFileError, match="already"):
        SocketFile(str(path))
    made.close()
    path.write_text("precious")
    with pytest.raises(SocketFileError, match="exists, and is not a socket"):
        SocketFile(str(path))
    assert path.read_text() == "precious"


def test_dead_socket_in_a_folder_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not remove it hears what to do."""

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    monkeypatch.setattr(os, "unlink", refuse)  # root, who may run this, is refused nothing
    with pytest.raises(SocketFileError, match="Remove it"):
        SocketFile(str(path))


def test_group_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that the user is no member of: the error says so, and no file is left."""

    def refuse(path: str, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    path = tmp_path / "socket"
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(SocketFileError, match="Add the balancer's user to it"):
        SocketFile(str(path), grp.getgrgid(os.getegid()).gr_name)
    assert not path.exists()


def test_file_of_a_successor_stays(tmp_path: Path) -> None:
    """A balancer that ends late does not remove the socket of the one after it."""
    first = SocketFile(str(tmp_path / "socket"))
    os.unlink(first.path)
    second = SocketFile(first.path)
    first.close()
    assert Path(second.path).exists()
    second.close()


def test_bad_path(tmp_path: Path) -> None:
    """What can't be is said in one sentence."""
    for path, group in (
        (str(tmp_path / ("x" * MAX_PATH)), None),
        ("/nowhere/at/all", None),
        (str(tmp_path / "socket"), "no-such-group"),
    ):
        with pytest.raises(SocketFileError):
            SocketFile(path, group)
