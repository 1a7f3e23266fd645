"""The Unix socket at which workers join: who may open it, and who it is that has."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import struct
from dataclasses import dataclass

from shardlayer.core.exceptions import ShardLayerError

OWN_MODE = 0o600  # of a socket for processes of one user
GROUP_MODE = 0o660  # of a socket for a group
MAX_PATH = 100  # bytes; the kernel's limit is 104 (macOS) or 108 (Linux)
BACKLOG = 128  # workers that may wait to be seen

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


class SocketFileError(ShardLayerError):
    """The socket for the workers can't be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A process at the other end of a Unix socket; -1 is unknown, as on systems without a way."""

    pid: int
    uid: int
    gid: int


class SocketFile:
    """A listening Unix socket in the file system.

    Args:
        path: Where; a file that a dead balancer left there is replaced.
        group: Name of a group whose members may join as well; None is this user's processes only.

    Raises:
        SocketFileError: Somebody listens there, something else is there, the path is too long, or
            there is no such group.
    """

    def __init__(self, path: str, group: str | None = None) -> None:
        self.path = path
        self._group = _group_id(group)
        if len(os.fsencode(path)) > MAX_PATH:
            raise SocketFileError(f"{path} is too long for a socket: {MAX_PATH} bytes at most.")
        _remove_dead(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._inode = -1
        try:
            before = os.umask(0o777 & ~OWN_MODE)  # never open to others, not for a moment
            try:
                self.listener.bind(path)
            finally:
                os.umask(before)
            self._inode = os.stat(path).st_ino
            if self._group is not None:
                self._give_to(self._group, name=group)
            self.listener.listen(BACKLOG)
            self.listener.setblocking(False)
        except OSError as error:
            self.close()
            raise SocketFileError(f"{path}: {error.strerror}.") from error
        except SocketFileError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening and remove the file, unless it is another's by now."""
        self.listener.close()
        try:
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except OSError:
            pass

    def _give_to(self, group: int, *, name: str | None) -> None:
        try:
            os.chown(self.path, -1, group)
        except PermissionError as error:
            raise SocketFileError(
                f"{self.path} can't be given to the group {name!r}: only a member of the group may "
                "do that. Add the balancer's user to it."
            ) from error
        os.chmod(self.path, GROUP_MODE)

    def may_join(self, peer: Peer) -> bool:
        """Say whether a process may be a worker: this user's, root's, or one of the group."""
        if peer.uid in (-1, 0, os.geteuid()):
            return True
        return self._group is not None and self._group in _groups_of(peer)


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:  # the mode of the file has to be enough
        return Peer(pid=-1, uid=-1, gid=-1)
    data = connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(data)
    return Peer(pid=pid, uid=uid, gid=gid)


def _group_id(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SocketFileError(f"There is no group {group!r}.") from None


def _groups_of(peer: Peer) -> set[int]:
    try:
        name = pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        return {peer.gid}
    return {peer.gid, *os.getgrouplist(name, peer.gid)}


def _remove_dead(path: str) -> None:
    """Remove a socket that nobody listens at.

    Raises:
        SocketFileError: Somebody does, or it is no socket.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketFileError(f"{path}: {error.strerror}.") from error
    if not stat.S_ISSOCK(mode):
        raise SocketFileError(f"{path} exists, and is not a socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            _unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there
        except OSError as error:
            raise SocketFileError(f"{path}: {error.strerror}.") from error
    raise SocketFileError(f"A balancer runs at {path} already.")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SocketFileError(
            f"{path} is left of a dead balancer and can't be removed: {error.strerror}. Remove it, "
            "and let the balancer's user write to its folder."
        ) from error
