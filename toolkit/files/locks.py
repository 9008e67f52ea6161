"""One run at a time: while a folder is being written, a lock beside it turns every other run away.

The lock is the operating system's own and ends with the process that holds it, so that a run which was killed stops
nobody, though its file still lies there. Where the file system has no locks, the file's word counts: the process that
it names, for as long as that one lives.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files.publish import unwritable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LOCK", "BusyError", "locked"]

LOCK = ".defectkit-lock"
"""Ending of a lock's name: that of OUT is `.OUT.defectkit-lock`, beside it."""

_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_TRIES, _PAUSE = 100, 0.02  # s; other runs make and remove the same file and folders
_FAR = 1 << 30  # the byte that Windows locks, and then lets nobody read

_guard = threading.Lock()
_held: dict[Path, int] = {}  # lock -> the thread of this process that holds it


class BusyError(ToolkitError):
    """Another run is writing there."""


@contextmanager
def locked(out: str | Path) -> Iterator[None]:
    """Keep other processes, and other threads of this one, from writing a folder or file meanwhile.

    The same thread may take it again: what it calls writes for it. Folders above `out` that are missing are made, and
    removed again if they stay empty.

    Raises:
        BusyError: another run writes there.
        ToolkitError: the lock cannot be written.
    """
    out, thread = Path(out), threading.get_ident()
    file = _place(out)
    with _guard:
        holder = _held.get(file)
        _held.setdefault(file, thread)
    if holder == thread:
        yield
        return
    if holder is not None:
        raise _busy(out, str(os.getpid()))
    try:
        with _locked_file(out, file):
            yield
    finally:
        with _guard:
            _held.pop(file, None)


def _forget() -> None:
    """A forked process has none of its parent's locks, and must not find their guard shut."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _place(out: Path) -> Path:
    """The lock of a folder: beside it, since folders are replaced; inside where nothing can be written beside it."""
    target = out.resolve()
    if target.is_dir() and not (target.name and os.access(target.parent, os.W_OK)):
        return target / LOCK
    return target.parent / f".{target.name}{LOCK}"


@contextmanager
def _locked_file(out: Path, file: Path) -> Iterator[None]:
    made = [folder for folder in file.parents if not folder.exists()]
    handle = None
    try:
        try:
            handle = _take(out, file)
        except OSError as error:
            raise unwritable(out, error, hidden=file) from error
        yield
    finally:
        if handle is not None:
            _give_back(handle, file)
        for folder in made:
            with suppress(OSError):  # something is in it by now
                folder.rmdir()


def _take(out: Path, file: Path) -> int:
    """The open lock file with this process's name in it.

    Raises:
        BusyError: another process has it.
        OSError: it cannot be written.
    """
    for _ in range(_TRIES):
        if not file.parent.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # its folder was another run's, which has removed it
            continue
        try:
            if not _lock(handle):
                raise _busy(out, _writer(handle), file)
            if not _is_at(handle, file):  # it was another run's, which has ended and removed it
                os.close(handle)
                continue
        except BaseException:
            os.close(handle)
            raise
        try:
            _sign(handle)
        except BaseException:
            _give_back(handle, file)
            raise
        return handle
    raise _busy(out, "unknown")


def _give_back(handle: int, file: Path) -> None:
    """Remove the lock while it is held, so that nobody takes a file that is about to go."""
    with suppress(OSError):  # Windows removes no open file
        file.unlink()
    os.close(handle)
    if sys.platform == "win32":
        with suppress(OSError):  # another run has taken it meanwhile
            file.unlink()


def _lock(handle: int) -> bool:
    """Whether this process has the lock now.

    Record locks, not those of `flock`: a worker process that outlives a killed run would go on holding the latter.
    """
    try:
        if sys.platform == "win32":
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _UNSUPPORTED:
            raise
        return _lock_by_name(handle)
    return True


def _lock_by_name(handle: int) -> bool:
    """The same without locks: of two that sign at once, the last one has it."""
    if _lives(_said(handle)):
        return False
    _sign(handle)
    time.sleep(5 * _PAUSE)
    return _said(handle) == _name()


def _is_at(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(file))
    except FileNotFoundError:
        return False


def _name() -> str:
    return f"{os.getpid()} {socket.gethostname()}"


def _sign(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, f"{_name()}\n".encode())


def _said(handle: int) -> str:
    """What stands in the lock file: process and host."""
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 1024).decode(errors="replace").strip()


def _writer(handle: int) -> str:
    """The process that holds the lock, by its number; with its host where that is another one."""
    for _ in range(_TRIES):
        process, _, host = _said(handle).partition(" ")
        if process:
            return process if host in ("", socket.gethostname()) else f"{process} on {host}"
        time.sleep(_PAUSE)  # it has the lock, and has yet to write its name
    return "unknown"


def _lives(said: str) -> bool:
    """Whether the process that a lock file names is there; one on another host is taken to be."""
    process, _, host = said.partition(" ")
    if not process.isdigit() or (host == socket.gethostname() and int(process) == os.getpid()):
        return False  # a process of the same number before this one: in a container it often is
    if host != socket.gethostname() or sys.platform == "win32":  # where a signal of 0 is a Ctrl-C
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _busy(out: Path, process: str, file: Path | None = None) -> BusyError:
    problem = f"is being written by another run (process {process})"
    # Whether a process of another host has died cannot be seen from here, and on Windows not even of this one.
    unseen = " on " in process or sys.platform == "win32"
    more = f", or remove {file} if it has ended" if file is not None and unseen else ""
    return BusyError(out, problem, f"wait for it, or choose another folder{more}")
