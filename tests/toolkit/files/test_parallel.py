"""However the work is spread, the caller sees what the plain loop would show."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.commands import PATIENCE, ROOT
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map


class OutOfInkError(Exception):
    """A failure whose arguments can be told apart."""


class Counted:
    """0, 1, 2, ... up to `stop`, and how many of them were taken."""

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.stop):
            self.taken += 1
            yield number


def square(number: int) -> int:
    return number * number


def slow_for_even(number: int) -> int:
    time.sleep(0.002 if number % 2 == 0 else 0)
    return number * number


def slow_square(number: int) -> int:
    time.sleep(0.01)
    return number * number


def fail_at(bad: int, number: int) -> int:
    if number >= bad:
        raise OutOfInkError("page", number)
    return number


def die_at(bad: int, number: int) -> int:
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def worker_pid(_: int) -> int:
    time.sleep(0.005)
    return os.getpid()


def state_of(dask_scheduler: Any) -> tuple[list[str], int]:
    """The tasks and the number of clients that a scheduler knows."""
    return list(dask_scheduler.tasks), len(dask_scheduler.clients.keys() - {"fire-and-forget"})


def taken_until_failure(results: Iterator[int]) -> tuple[list[int], BaseException]:
    taken: list[int] = []
    with pytest.raises(Exception) as raised:  # noqa: PT011 -- the caller looks at what it is
        taken.extend(results)
    return taken, raised.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.files.parallel._CONNECT_SECONDS", 0.5)


class TestOneWorker:
    def test_is_the_plain_loop_and_looks_no_item_ahead(self) -> None:
        items = Counted(100)
        results = ordered_map(square, items)
        assert [next(results), next(results), next(results)] == [0, 1, 4]
        assert items.taken == 3

    def test_loads_no_dask(self) -> None:
        script = (
            "import sys; from toolkit.files.parallel import ordered_map; assert list(ordered_map(abs, [-1])) == [1];"
            "print([name for name in ('distributed', 'dask', 'numpy') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


class TestThreads:
    @pytest.mark.parametrize(("count", "workers", "batch"), [(0, 2, 16), (1, 4, 16), (33, 2, 16), (200, 3, 1)])
    def test_results_come_in_the_order_of_the_items(self, count: int, workers: int, batch: int) -> None:
        results = ordered_map(slow_for_even, range(count), workers=workers, batch=batch)
        assert list(results) == [number * number for number in range(count)]

    def test_work_is_shared(self) -> None:
        meeting = threading.Barrier(2, timeout=PATIENCE)
        assert list(ordered_map(lambda _: meeting.wait() < 2, range(2), workers=2, batch=1)) == [True, True]

    def test_a_slow_caller_holds_the_workers_back(self) -> None:
        items = Counted(100_000)
        done: list[int] = []

        def work(number: int) -> int:
            done.append(number)
            return number

        results = ordered_map(work, items, workers=2, batch=4)
        for taken in range(1, 41):
            next(results)
            if taken in (1, 40):
                time.sleep(0.2)
                assert items.taken <= taken + 4 * 2 * 5
                assert len(done) <= taken + 4 * 2 * 2
        results.close()

    def test_the_first_failure_in_order_reaches_the_caller_unchanged(self) -> None:
        taken, error = taken_until_failure(ordered_map(partial(fail_at, 21), range(100), workers=4, batch=4))
        assert taken == list(range(21))
        assert type(error) is OutOfInkError
        assert error.args == ("page", 21)

    def test_a_failure_of_the_items_waits_for_its_turn(self) -> None:
        taken, error = taken_until_failure(ordered_map(square, (fail_at(9, n) for n in range(99)), workers=2, batch=4))
        assert taken == [square(number) for number in range(9)]
        assert (type(error), error.args) == (OutOfInkError, ("page", 9))

    def test_closing_early_stops_the_work_without_a_word(self) -> None:
        items = Counted(5_000)
        before = threading.active_count()
        results = ordered_map(slow_for_even, items, workers=2, batch=4)
        next(results)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            results.close()
        taken = items.taken
        time.sleep(0.1)
        assert items.taken == taken < 100
        deadline = time.monotonic() + PATIENCE
        while threading.active_count() > before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @pytest.mark.parametrize(
        ("ending", "last_words"),
        [
            ("", ""),
            ("list(results)", "KeyboardInterrupt"),
        ],
    )
    def test_a_program_ends_with_a_map_half_done(self, ending: str, last_words: str) -> None:
        script = (
            "import os, signal, time; from toolkit.files.parallel import ordered_map\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a parent may have ignored
            "def work(number):\n"
            "    if number == 200: os.kill(os.getpid(), signal.SIGINT)\n"  # not begun before the list is
            "    time.sleep(0.001)\n"
            "results = ordered_map(work, range(10**5), workers=2); next(results)\n" + ending
        )
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        assert done.stderr.strip().rpartition("\n")[2] == last_words


@pytest.mark.parametrize(("option", "problem"), [({"workers": 0}, "workers: 0 is"), ({"batch": 0}, "batch: 0 is")])
def test_fewer_than_one_is_refused_at_once(option: dict[str, int], problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem):
        ordered_map(square, [], **option)  # type: ignore[arg-type]


class TestWithoutACluster:
    def test_a_missing_package_is_named_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ToolkitError) as raised:
            ordered_map(square, [1], cluster="tcp://127.0.0.1:8786")
        problem, _, remedy = str(raised.value).partition("; ")
        assert problem == "cluster: needs the packages of the cluster extra"
        assert remedy == "pip install 'defectkit[cluster]'"

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:80", "tcp://127.0.0.1:{free}"])
    def test_nobody_at_the_address(self, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        address = address.format(free=free_port())
        with pytest.raises(ToolkitError, match="no Dask scheduler answers there") as raised:
            list(ordered_map(square, [1], cluster=address))
        assert str(raised.value).startswith(f"{address}: ")
        assert capfd.readouterr().err == ""

    @pytest.mark.usefixtures("impatient")
    def test_a_server_that_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
            hang_up = threading.Timer(60, silent.close)  # so that a wait without end fails, and does not hang
            hang_up.start()
            with pytest.raises(ToolkitError, match="no Dask scheduler answers there"):
                list(ordered_map(square, [1], cluster=address))
            assert hang_up.is_alive()
            hang_up.cancel()

    def test_a_scheduler_without_workers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from distributed import Client, LocalCluster

        wait = Client.wait_for_workers
        monkeypatch.setattr(Client, "wait_for_workers", lambda client, count, timeout: wait(client, count, timeout=0.1))
        with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as empty:
            address = empty.scheduler_address
            with pytest.raises(ToolkitError, match="the scheduler has no workers; start some: dask worker"):
                list(ordered_map(square, [1], cluster=address))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A scheduler with two worker processes of one thread; a nanny restarts the ones that die."""
    import dask
    from distributed import LocalCluster

    # A scheduler that asks a worker for its results just after its death tries for 30 s by default.
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "3s"}),
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as local,
    ):
        yield local.scheduler_address


class TestCluster:
    def test_results_are_those_of_one_thread(self, cluster: str) -> None:
        here = list(ordered_map(slow_for_even, range(100)))
        assert list(ordered_map(slow_for_even, range(100), cluster=cluster)) == here

    def test_both_workers_work(self, cluster: str) -> None:
        pids = set(ordered_map(worker_pid, range(40), cluster=cluster, batch=2))
        assert len(pids) == 2
        assert os.getpid() not in pids

    def test_a_slow_caller_holds_the_cluster_back(self, cluster: str) -> None:
        items = Counted(100_000)
        results = ordered_map(square, items, cluster=cluster, batch=4)
        next(results)
        time.sleep(0.2)
        assert items.taken <= 4 * 2 * 2
        results.close()

    def test_the_first_failure_in_order_reaches_the_caller_unchanged(self, cluster: str) -> None:
        results = ordered_map(partial(fail_at, 21), range(100), cluster=cluster, batch=4)
        taken, error = taken_until_failure(results)
        assert taken == list(range(21))
        assert type(error) is OutOfInkError
        assert error.args == ("page", 21)
        assert "in fail_at" in error.__notes__[0]

    def test_a_failure_of_the_items_waits_for_its_turn(self, cluster: str) -> None:
        items = (fail_at(9, number) for number in range(99))
        taken, error = taken_until_failure(ordered_map(square, items, cluster=cluster, batch=4))
        assert taken == [square(number) for number in range(9)]
        assert (type(error), error.args) == (OutOfInkError, ("page", 9))

    def test_closing_early_leaves_nothing_on_the_cluster(self, cluster: str) -> None:
        from distributed import Client

        results = ordered_map(slow_square, range(1000), cluster=cluster, batch=4)
        next(results)
        results.close()
        with Client(cluster, set_as_default=False) as client:
            deadline = time.monotonic() + PATIENCE
            while (state := client.run_on_scheduler(state_of)) != ([], 1):  # the one that asks
                assert time.monotonic() < deadline, state
                time.sleep(0.02)

    def test_a_killed_worker_costs_nothing_but_time(self, cluster: str) -> None:
        from distributed import Client

        results = ordered_map(slow_square, range(200), cluster=cluster, batch=4)
        taken = [next(results) for _ in range(40)]
        with Client(cluster, set_as_default=False) as client:
            victim = client.run(os.getpid).popitem()[1]
        os.kill(victim, signal.SIGKILL)
        taken.extend(results)
        assert taken == [number * number for number in range(200)]

    def test_what_a_worker_does_not_see_is_told_as_that(self, cluster: str, tmp_path: Path) -> None:
        gone = tmp_path / "gone"
        with pytest.raises(
            ToolkitError, match=r"is not there for the cluster's worker on .* leave out cluster$"
        ) as raised:
            list(ordered_map(square, range(40), cluster=cluster, reads=[tmp_path, gone]))
        assert raised.value.problems[0].file == str(gone)
        assert list(ordered_map(square, range(3), cluster=cluster, reads=[tmp_path])) == [0, 1, 4]

    def test_a_path_that_workers_would_look_for_elsewhere_is_refused(self, cluster: str) -> None:
        with pytest.raises(ToolkitError, match=r"^data: does not begin at the root of a disk.*give its whole path"):
            ordered_map(square, [1], cluster=cluster, reads=[Path("data")])

    def test_a_batch_that_kills_every_worker_is_an_error_and_no_hang(self, cluster: str) -> None:
        taken, error = taken_until_failure(ordered_map(partial(die_at, 9), range(20), cluster=cluster, batch=4))
        assert taken == list(range(8))
        assert isinstance(error, ToolkitError)
        assert str(error).startswith(f"{cluster}: the cluster could not do the work")
