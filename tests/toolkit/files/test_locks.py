"""One run at a time writes a folder: another process or thread is turned away, what was killed stops nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import PATIENCE, ROOT
from toolkit.errors import ToolkitError
from toolkit.files.locks import LOCK, BusyError, locked

# Holds a lock, says so with its process and that of a child that it may fork, and ends with its standard input.
HOLDER = """
import os, sys
from toolkit.files.locks import locked
out, forks = sys.argv[1:]
with locked(out):
    child = os.fork() if forks == "fork" else 0
    if forks == "fork" and child == 0:
        sys.stdin.read()  # until the test ends it
        os._exit(0)
    print(os.getpid(), child, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(out: Path, forks: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLDER, str(out), forks]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        told = process.stdout.readline().split()
        assert told[:1] == [str(process.pid)]
        yield process


def lock_of(out: Path) -> Path:
    return out.parent / f".{out.name}{LOCK}"


def take(out: Path) -> None:
    with locked(out):
        assert lock_of(out).is_file()


def refusal(out: Path, process: object) -> str:
    problem = f"{out}: is being written by another run (process {process})"
    return re.escape(f"{problem}; wait for it, or choose another folder") + "$"


def test_a_lock_is_there_while_it_is_held(tmp_path: Path) -> None:
    for _ in range(2):
        take(tmp_path / "new" / "out")
        assert list(tmp_path.iterdir()) == []


def test_folders_in_which_something_was_made_stay(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "out"):
        (tmp_path / "new" / "out").mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "out"]


@pytest.mark.parametrize("name", ["out", "./out", "there/../out", "link"])
def test_another_process_is_refused_by_whatever_name(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(out)
    with holder(out) as process:
        with pytest.raises(BusyError, match=refusal(tmp_path / name, process.pid)):
            take(tmp_path / name)
        take(tmp_path / "other")
        process.communicate("", timeout=PATIENCE)
    take(out)


def test_a_killed_process_stops_nobody(tmp_path: Path) -> None:
    with holder(tmp_path / "out") as process:
        process.kill()
        process.wait(PATIENCE)
    assert lock_of(tmp_path / "out").read_text().split()[0] == str(process.pid)
    take(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_outlives_its_killed_parent_stops_nobody(tmp_path: Path) -> None:
    with holder(tmp_path / "out", "fork") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        take(tmp_path / "out")  # the worker ends with its standard input, below


def test_another_thread_is_refused_and_the_same_one_is_not(tmp_path: Path) -> None:
    faults: list[BaseException] = []

    def other() -> None:
        try:
            take(tmp_path / "out")
        except ToolkitError as error:
            faults.append(error)

    with locked(tmp_path / "out"), locked(tmp_path / "out"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert re.match(refusal(tmp_path / "out", os.getpid()), str(faults[0]))
    other()
    assert len(faults) == 1


def test_the_lock_goes_into_a_folder_beside_which_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with locked(tmp_path / "out"):
        assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", f"out/{LOCK}"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_lock_that_cannot_be_written_names_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError, match=re.escape(f"{tmp_path}/file/out: cannot be written (Not a directory); ")):
        take(tmp_path / "file" / "out")


def free_process() -> int:
    """A process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(PATIENCE)
    return process.pid


@pytest.mark.parametrize(
    ("process", "host", "refused"),
    [
        (os.getppid, "", True),
        (free_process, "", False),
        (os.getpid, "", False),
        (free_process, "elsewhere", True),
        (lambda: "", "", False),
    ],
    ids=["alive", "dead", "its number is ours now", "on another host", "killed before it signed"],
)
def test_without_locks_the_process_that_is_named_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: object, host: str, refused: bool
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    number = process()  # type: ignore[operator]
    lock_of(tmp_path / "out").write_text(f"{number} {host or socket.gethostname()}\n" if number else "")
    if not refused:
        take(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
        return
    with pytest.raises(BusyError, match=re.escape(f"process {number}{' on elsewhere' * bool(host)})")) as caught:
        take(tmp_path / "out")
    assert (f", or remove {lock_of(tmp_path / 'out')} if it has ended" in str(caught.value)) == bool(host)
    assert lock_of(tmp_path / "out").exists()
