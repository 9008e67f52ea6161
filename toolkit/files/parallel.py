"""One ordered map: a plain loop, threads here, or a Dask cluster elsewhere, always with the same results.

Both share one shape: a short queue of batches, so that 100,000 items need no more memory than a few of them. joblib's
`return_as="generator"` runs ahead of its consumer without limit, and its Dask backend waits for ever for a batch whose
workers died too often; so these are the executors underneath, the standard library's and Dask's own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future as PoolFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import uuid4

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ordered_map", "reported", "shared_path"]

T = TypeVar("T")
R = TypeVar("R")

_BATCHES_PER_WORKER = 2  # one in work, one ready when it is done
_CONNECT_SECONDS = 8.0
_PATIENCE_SECONDS = 30.0


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int = 1,
    cluster: str | None = None,
    batch: int = 16,
    reads: Iterable[Path] = (),
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for every item, in the order of the items, as the caller asks for them.

    However the work is spread, the caller sees what the plain loop would show: the same results in the same order, and
    the first failure only after the results before it. Closing the generator stops the work after the calls that are
    running.

    Args:
        function: what to do with one item. For a cluster it must be importable by (or picklable to) the workers.
        items: read lazily, at most a few batches ahead of the caller; never by two threads at once.
        workers: threads on this machine; 1 is a plain loop that looks no item ahead. Unused when `cluster` is given.
        cluster: address of a Dask scheduler, ``tcp://host:port``. Workers may die; their share is done again.
        batch: items that travel together, when there is more than one worker.
        reads: folders and files that `function` reads from, by their whole paths: each worker of a cluster must see
            them, since what it cannot see would look like a fault of the dataset.

    Raises:
        ToolkitError: `workers` or `batch` is below 1, the packages of the cluster extra are missing, or one of `reads`
            has no whole path; while iterating: the scheduler cannot be reached, has no workers, or lost the work, or
            a worker does not see one of `reads`.
        Exception: whatever `function` or `items` raised, with its type and arguments.
    """
    if workers < 1:
        raise ToolkitError("--workers", f"{workers} is not a number of workers", "give 1 or more")
    if batch < 1:
        raise ToolkitError("batch", f"{batch} is not a number of items", "give 1 or more")
    if cluster is not None:
        if importlib.util.find_spec("distributed") is None:
            raise ToolkitError(
                "--cluster", "needs the packages of the cluster extra", "pip install 'defectkit[cluster]'"
            )
        return _map_on_cluster(function, _Source(items, batch), cluster, _whole_paths(reads))
    if workers == 1:
        return (function(item) for item in items)
    return _map_on_threads(function, _Source(items, batch), workers)


def reported(results: Iterable[R], total: int, progress: Callable[[int, int], None] | None) -> Iterator[R]:
    """The results, each of which is told of as (done, total) when the caller has taken it."""
    for done, result in enumerate(results, 1):
        yield result
        if progress is not None:
            progress(done, total)


def shared_path(path: T, cluster: str | None) -> T | Path:
    """A path as the workers of a cluster understand it, who stand in other folders.

    Without a cluster it stays as it is, and so does what is no path.
    """
    return Path(path).absolute() if cluster is not None and isinstance(path, str | Path) else path


def _whole_paths(reads: Iterable[Path]) -> tuple[str, ...]:
    for path in reads:
        if not path.is_absolute():
            problem = "does not begin at the root of a disk, so that the workers of a cluster would look elsewhere"
            raise ToolkitError(path, problem, "give its whole path")
    return tuple(sorted({str(path) for path in reads}))


class _Source(Generic[T]):
    """The caller's items in batches. Should they fail, the batches end and `error` waits for its turn in the order."""

    def __init__(self, items: Iterable[T], size: int) -> None:
        self.items = items
        self.size = size
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[T]]:
        batch: list[T] = []
        try:
            for item in self.items:
                batch.append(item)
                if len(batch) == self.size:
                    yield batch
                    batch = []
        except Exception as error:
            self.error = error
        if batch:
            yield batch


@dataclass(frozen=True)
class _Outcome(Generic[R]):
    """What became of a batch: the results before its first failure, and that failure."""

    results: list[R]
    error: BaseException | None = None


def _run_batch(function: Callable[[T], R], items: Iterable[T]) -> _Outcome[R]:
    results: list[R] = []
    try:
        for item in items:
            results.append(function(item))
    except BaseException as error:  # not swallowed: the caller raises it, in its place in the order
        return _Outcome(results, error)
    return _Outcome(results)


def _unpack(outcome: _Outcome[R]) -> Iterator[R]:
    yield from outcome.results
    if outcome.error is not None:
        raise outcome.error


def _map_on_threads(function: Callable[[T], R], source: _Source[T], workers: int) -> Generator[R, None, None]:
    closed = threading.Event()

    def while_open(items: list[T]) -> Iterator[T]:
        for item in items:
            if closed.is_set():
                return
            yield item

    pool = ThreadPoolExecutor(workers, thread_name_prefix="defectkit")
    pending: deque[PoolFuture[_Outcome[R]]] = deque()
    try:
        for items in source:
            pending.append(pool.submit(_run_batch, function, while_open(items)))
            if len(pending) >= _BATCHES_PER_WORKER * workers:
                yield from _unpack(pending.popleft().result())
        while pending:
            yield from _unpack(pending.popleft().result())
    finally:
        closed.set()
        pool.shutdown(cancel_futures=True)
    if source.error is not None:
        raise source.error


def _map_on_cluster(
    function: Callable[[T], R], source: _Source[T], address: str, reads: tuple[str, ...]
) -> Generator[R, None, None]:
    with _connected(address) as client:
        ahead = max(_BATCHES_PER_WORKER * sum(client.nthreads().values()), 2)
        name = f"defectkit-{uuid4().hex}"
        pending: deque[Future[_Outcome[R]]] = deque()
        for number, items in enumerate(source):
            pending.append(client.submit(_Task(function, items, reads), key=f"{name}-{number}", pure=False))
            if len(pending) >= ahead:
                yield from _unpack(_gathered(client, pending.popleft(), address))
        while pending:
            yield from _unpack(_gathered(client, pending.popleft(), address))
    if source.error is not None:
        raise source.error


@dataclass(frozen=True)
class _Task(Generic[T, R]):
    """A batch on its way to a worker. One opaque object, since Dask looks for futures inside lists and tuples."""

    function: Callable[[T], R]
    items: list[T]
    reads: tuple[str, ...]

    def __call__(self) -> _Outcome[R]:
        unseen = next((path for path in self.reads if not Path(path).exists()), None)
        if unseen is not None:
            problem = f"is not there for the cluster's worker on {socket.gethostname()}"
            remedy = "give all of them the folder under this path, or leave out --cluster"
            return _Outcome([], ToolkitError(unseen, problem, remedy))
        outcome = _run_batch(self.function, self.items)
        if outcome.error is not None:
            # A traceback does not travel; a note does, and leaves type and arguments alone.
            outcome.error.add_note("On the cluster:\n" + "".join(traceback.format_exception(outcome.error)))
        return outcome


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler at `address`, and see that it has a worker.

    Raises:
        ToolkitError: it cannot be reached, or no worker joined it in time.
    """
    from distributed import Client

    try:
        with ThreadPoolExecutor(1) as thread:
            # A thread of its own, since a notebook's has an event loop running.
            thread.submit(asyncio.run, _find_scheduler(address)).result()
    except Exception as error:  # whatever another server's answer looks like to Dask
        raise ToolkitError(
            address, "no Dask scheduler answers there", "start one with 'dask scheduler', or correct --cluster"
        ) from error
    with (
        _without_logs("distributed.client", "distributed.batched"),
        Client(address, timeout=_CONNECT_SECONDS, set_as_default=False) as client,
    ):
        _wait_for_worker(client, address, "the scheduler has no workers")
        yield client


async def _find_scheduler(address: str) -> None:
    """Ask who is at `address`. A Client would wait for ever for the answer of a server that isn't Dask's."""
    from distributed import rpc

    async with asyncio.timeout(_CONNECT_SECONDS), rpc(address) as remote:
        identity = await remote.identity()
        if identity["type"] != "Scheduler":
            raise ValueError(f"a {identity['type']} answered")


def _wait_for_worker(client: Client, address: str, problem: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except TimeoutError as error:
        raise ToolkitError(address, problem, f"start some: dask worker {address}") from error


@contextmanager
def _without_logs(*names: str) -> Iterator[None]:
    """Keep a lost connection's tracebacks off stderr: the error that follows says it in a line."""
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _gathered(client: Client, future: Future[_Outcome[R]], address: str) -> _Outcome[R]:
    """Wait for a batch; Dask does it again elsewhere when its worker dies.

    Raises:
        ToolkitError: every worker is gone, the scheduler is gone, or the batch killed each worker that it was given to.
    """
    # The function's own failures are inside the outcome, so what is raised here is the cluster's.
    while True:
        try:
            outcome = future.result(timeout=_PATIENCE_SECONDS)
        except TimeoutError:
            _wait_for_worker(client, address, "the cluster lost its last worker")
        except (Exception, asyncio.CancelledError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ToolkitError(address, f"the cluster could not do the work ({reason})", "see its logs") from error
        else:
            return outcome
