"""The same from a cluster as from one thread, also when a worker goes away half-way, and from other folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import IMAGES, Outcome, defectkit, make_dataset, snapshot

pytest.importorskip("distributed", reason="needs the cluster extra")

from tests.clusters import Cluster, running_cluster

CATEGORIES = 7  # so that there are four batches of 16 images: two that are done, and two that are waited in
FORMATS = "coco,yolo-segment,masks"


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    shared_cluster.prepare()
    return shared_cluster


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and in `labels` what one thread makes of it."""
    home = tmp_path_factory.mktemp("home")
    for number in range(CATEGORIES):
        make_dataset(home / "data", f"part{number:02}")
    told = defectkit("convert", home / "data", home / "labels", "--to", FORMATS, "--images", "copy", "--workers", "1")
    assert told.status == 0
    return home


@pytest.fixture(autouse=True)
def stands_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are given paths that mean nothing to the workers of a cluster, which stand elsewhere."""
    monkeypatch.chdir(home)


def halfway(cluster: Cluster, *words: str | Path, killed: bool = True) -> Outcome:
    """A command on the cluster, one of whose workers goes away."""
    told = cluster.halfway(lambda: defectkit(*words, "--json", "--cluster", cluster.address), killed=killed)
    assert (told.status, told.err) == (0, "")
    return told


@pytest.mark.parametrize("killed", [False, True], ids=["all live", "one dies"])
def test_convert(home: Path, tmp_path: Path, cluster: Cluster, killed: bool) -> None:
    halfway(cluster, "convert", "data", tmp_path / "labels", "--to", FORMATS, "--images", "copy", killed=killed)
    made, wanted = snapshot(tmp_path / "labels"), snapshot(home / "labels")
    for tree in FORMATS.split(","):  # whose way to the source is another one
        told, expected = (one.pop(f"{tree}/manifest.json") or b"" for one in (made, wanted))
        assert [line for line in told.splitlines() if b'"source"' not in line] == [
            line for line in expected.splitlines() if b'"source"' not in line
        ]
    assert made == wanted


def test_verify(home: Path, cluster: Cluster) -> None:
    told = halfway(cluster, "verify", "labels", "--against", "data").json()
    assert told == defectkit("verify", home / "labels", "--against", home / "data", "--json").json()
    assert told["passed"]


def test_verify_finds_what_is_wrong(home: Path, cluster: Cluster, tmp_path: Path) -> None:
    cluster.go.touch()
    assert defectkit("convert", home / "data", tmp_path / "out", "--to", "yolo-segment").status == 0
    label = max((tmp_path / "out/yolo-segment/labels").rglob("*.txt"), key=lambda path: path.stat().st_size)
    label.write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    told = defectkit("verify", tmp_path / "out", "--json", "--cluster", cluster.address)
    alone = defectkit("verify", tmp_path / "out", "--json")
    assert (told.status, alone.status) == (1, 1)
    assert told.json() == alone.json()


@pytest.mark.parametrize("shown", ["data", "labels/coco"])
def test_view(home: Path, tmp_path: Path, cluster: Cluster, shown: str) -> None:
    halfway(cluster, "view", shown, "--out", tmp_path / "there", "--limit", "30")
    assert defectkit("view", home / shown, "--out", tmp_path / "here", "--limit", "30").status == 0
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "here")


@pytest.mark.parametrize("described", ["data", "labels/coco"])
def test_describe(home: Path, cluster: Cluster, described: str) -> None:
    told = halfway(cluster, "describe", described).json()
    assert told == defectkit("describe", home / described, "--json").json()
    assert told["images"] == IMAGES * CATEGORIES
    assert told["problems"] == []
