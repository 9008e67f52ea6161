"""A Dask cluster on this machine whose workers wait half-way until a test lets them go on, or ends one of them.

They are forked where all that they need is loaded: starting a Python that imports Dask and OpenCV takes seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Scheduler, Worker

from tests.commands import PATIENCE
from tests.forks import FORKS
from toolkit.files import parallel

__all__ = ["Cluster", "running_cluster"]

T = TypeVar("T")
WORKERS = 2


class Cluster:
    """A scheduler and two workers, each a process of its own that stands in a folder of its own.

    A worker does its first batch. At the second one it leaves its process id in `held`, and waits for the file `go`.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self.held, self.go, self._first = home / "held", home / "go", home / "first"
        for folder in (self.held, self._first):
            folder.mkdir()
        self._scheduler = FORKS.Process(target=_schedule, args=(home / "address",), daemon=True)
        self._scheduler.start()
        self.workers: list[Any] = []
        _wait_for((home / "address").exists)
        self.address = (home / "address").read_text()

    def prepare(self) -> None:
        """Start workers in the place of those that have died, and forget what any of them did."""
        self.workers = [worker for worker in self.workers if worker.is_alive()]
        for path in (*self.held.iterdir(), *self._first.iterdir()):
            path.unlink()
        self.go.unlink(missing_ok=True)
        while len(self.workers) < WORKERS:
            self.workers.append(FORKS.Process(target=_work, args=(self.address, self._home), daemon=True))
            self.workers[-1].start()
        with Client(self.address, timeout=PATIENCE, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=PATIENCE)

    def halfway(self, command: Callable[[], T], *, killed: bool) -> T:
        """Run a command until all workers wait in their second batch, kill one of them if wanted, and let it end."""
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(command)
            _wait_for(lambda: len(list(self.held.iterdir())) == WORKERS or running.done())
            held = sorted(path.name for path in self.held.iterdir())
            if killed:
                self.workers[0].kill()
                self.workers[0].join(PATIENCE)
            self.go.touch()
            result = running.result(PATIENCE)
        assert held == sorted(str(worker.pid) for worker in self.workers)
        return result

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.join(PATIENCE)


@contextmanager
def running_cluster(home: Path) -> Iterator[Cluster]:
    cluster = Cluster(home)
    try:
        yield cluster
    finally:
        cluster.close()


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("a cluster does not answer")
        time.sleep(0.005)


def _schedule(address: Path) -> None:
    async def serve() -> None:
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            address.with_suffix(".part").write_text(scheduler.address)
            address.with_suffix(".part").rename(address)
            await scheduler.finished()

    asyncio.run(serve())


def _work(address: str, home: Path) -> None:
    own, task = str(os.getpid()), parallel._Task.__call__

    def held(self: Any) -> Any:
        go, first = home / "go", home / "first" / own
        if first.exists() and not go.exists():
            (home / "held" / own).touch()
            _wait_for(go.exists)
        first.touch()
        return task(self)

    async def serve() -> None:
        async with Worker(address, nthreads=1, dashboard=False, local_directory=str(home / f"of-{own}")) as worker:
            await worker.finished()

    parallel._Task.__call__ = held  # type: ignore[method-assign]
    os.environ["DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE"] = "False"
    (home / f"of-{own}").mkdir()
    os.chdir(home / f"of-{own}")  # where nothing is that a path without a beginning would name
    asyncio.run(serve())
