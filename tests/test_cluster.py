"""The same bytes from a cluster as from one thread, also when one of its machines goes away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import PATIENCE, ROOT, defectkit, make_dataset, snapshot

pytest.importorskip("distributed", reason="needs the cluster extra")

CATEGORIES = 12
FORMATS = "coco,yolo-segment,masks"

# A worker that writes its process id into a folder when it begins, and does no image before there is a file `go`.
WORKER = """
import os, sys, time
import converters.writing.pipeline as pipeline
import distributed

address, folder, go = sys.argv[1:]
render = pipeline._render

def held_render(*args, **kwargs):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    while not os.path.exists(go):
        time.sleep(0.01)
    return render(*args, **kwargs)

pipeline._render = held_render

async def work():
    async with distributed.Worker(address, nthreads=1, dashboard=False) as worker:
        await worker.finished()

import asyncio
asyncio.run(work())
"""

SCHEDULER = """
import asyncio, sys
import distributed

async def serve():
    async with distributed.Scheduler(host="127.0.0.1", port=int(sys.argv[1]), dashboard=False) as scheduler:
        await scheduler.finished()

asyncio.run(serve())
"""


class Cluster:
    """A scheduler and two workers on this machine, each a process of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.begun = home / "begun"
        self.begun.mkdir()
        self.go = home / "go"
        self._home = home
        self._processes = [self._start(SCHEDULER, str(port))]
        self.workers = [self._start(WORKER, self.address, str(self.begun), str(self.go)) for _ in range(2)]
        self._processes += self.workers

    def _start(self, script: str, *words: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False"}
        return subprocess.Popen(
            [sys.executable, "-c", script, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._home,
            env=environment,
        )

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(PATIENCE)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for number in range(CATEGORIES):
        make_dataset(tmp_path / "data", f"part{number:02}")
    return tmp_path / "data"


@pytest.mark.parametrize("killed", [False, True], ids=["all live", "one dies"])
def test_a_cluster_writes_what_one_thread_writes(dataset: Path, tmp_path: Path, cluster: Cluster, killed: bool) -> None:
    from distributed import Client

    words = ["--to", FORMATS, "--images", "copy", "--json"]
    assert defectkit("convert", dataset, tmp_path / "thread", *words, "--workers", "1").status == 0
    with Client(cluster.address, timeout=PATIENCE, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "toolkit.cli",
            "convert",
            dataset,
            tmp_path / "out",
            *words,
            "--cluster",
            cluster.address,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    deadline = time.monotonic() + PATIENCE
    while len(list(cluster.begun.iterdir())) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {path.name for path in cluster.begun.iterdir()} == {str(worker.pid) for worker in cluster.workers}
    if killed:
        assert process.poll() is None
        cluster.workers[0].send_signal(signal.SIGKILL)
        cluster.workers[0].wait(PATIENCE)
    cluster.go.touch()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "thread")
