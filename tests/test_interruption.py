"""Conversions that are killed, interrupted or out of disk: nothing half-done looks finished, nothing done is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import IMAGES, PATIENCE, ROOT, Outcome, defectkit, make_dataset, save, snapshot, stain
from tests.processes import run
from toolkit.files.staging import STAGING, Staging

FORMATS = "yolo-detect,yolo-segment,yolo-obb,yolo-classify,coco,semantic,panoptic,masks,cvat"
CATEGORIES = 4
TOTAL = IMAGES * CATEGORIES

# Saves a checkpoint after each image, keeps little in buffers, counts the images that it rendered in a file, and sends
# itself a signal: some images after the checkpoint that holds enough of them, or in its last moments.
DRIVER = """
import json, os, signal, sys
import converters.writing.conversion as conversion
import converters.writing.pipeline as pipeline
import converters.writing.tree_writer as trees
from toolkit.cli import main

count, number, after, beyond, strike, *words = sys.argv[1:]
render, publish, write = pipeline.render, conversion.publish_folder, conversion.write_whole
clear, calls, left = trees.TreeWriter.remove_spools, [], []

def counted_render(*args, **kwargs):
    with open(count, "ab") as file:
        file.write(b".")
    if left and left.pop() == "last":
        signal.raise_signal(int(number))
    return render(*args, **kwargs)

def write_checkpoint(path, data):
    write(path, data)
    if strike == "checkpoint" and json.loads(data)["done"] >= int(after):
        if beyond == "0":
            signal.raise_signal(int(number))
        conversion._CHECKPOINT_SECONDS = float("inf")
        left[:] = ["last", *range(int(beyond))]

def die(*args):
    calls.append(args)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"publish": publish, "clear": clear}[strike](*args)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
conversion._CHECKPOINT_SECONDS = 0
conversion.write_whole = write_checkpoint
trees._BLOCK = 64
pipeline.render = counted_render
if strike == "publish":
    conversion.publish_folder = die
if strike == "clear":
    trees.TreeWriter.remove_spools = die
sys.argv = ["defectkit", *words]
main()
"""


class Runs:
    """Conversions of one dataset into one folder, in processes of their own."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self.out = home / "out"
        self.count = home / "count"

    def copied(self) -> Runs:
        """The same with a dataset of its own, to be spoilt."""
        shutil.copytree(self.root, self.home / "data")
        return Runs(self.home / "data", self.home)

    def words(self, *more: str) -> list[str]:
        return ["convert", str(self.root), str(self.out), "--to", FORMATS, "--images", "copy", "--json", *more]

    def run(self, *more: str, strike: str = "", number: int = 0, after: int = 0, beyond: int = 0) -> Outcome:
        self.count.write_bytes(b"")
        told = [str(self.count), str(int(number)), str(after), str(beyond), strike]
        return run(DRIVER, *told, *self.words(*more))

    def done(self) -> int:
        """Images that the checkpoint holds."""
        state = self.out / STAGING / "state.json"
        return int(json.loads(state.read_bytes())["done"]) if state.is_file() else 0

    def stop(self, number: signal.Signals, *more: str, after: int = TOTAL // 2, beyond: int = 0) -> Outcome:
        """A conversion that gets a signal when a checkpoint holds some images, and so many more are written."""
        outcome = self.run(*more, strike="checkpoint", number=number, after=after, beyond=beyond)
        assert after <= self.done() < TOTAL
        return outcome

    @property
    def rendered(self) -> int:
        return len(self.count.read_bytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("source") / "data"
    for number in range(CATEGORIES):
        make_dataset(home, f"part{number}")
    return home


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Runs:
    return Runs(root, tmp_path)


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed conversion leaves."""
    undisturbed = Runs(root, tmp_path_factory.mktemp("undisturbed"))
    assert defectkit(*undisturbed.words()).status == 0
    return undisturbed.out


@pytest.fixture(scope="module")
def undisturbed(whole: Path) -> dict[str, bytes | None]:
    return snapshot(whole)


def finished(out: Path) -> list[str]:
    """Format folders that look finished to a user, or to another tool."""
    return sorted(path.parent.name for path in out.glob("*/manifest.json"))


def test_what_was_left_out_before_a_kill_is_counted_once(runs: Runs) -> None:
    asked = ["--only", "dent", "--drop-empty", "--max-area", "1000"]
    assert defectkit(*runs.words(*asked)).status == 0
    undisturbed = snapshot(runs.out)
    shutil.rmtree(runs.out)
    runs.stop(signal.SIGKILL, *asked)
    assert runs.run("--resume", *asked).status == 0
    assert snapshot(runs.out) == undisturbed
    left_out = json.loads((runs.out / "coco/manifest.json").read_bytes())["left_out"]
    assert len({one["key"] for one in left_out}) == len(left_out) > 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_cleans_up(
    runs: Runs, undisturbed: dict[str, bytes | None], workers: str
) -> None:
    assert runs.stop(signal.SIGKILL, "--workers", workers).status == -signal.SIGKILL
    assert [path.name for path in runs.out.iterdir()] == [STAGING]
    assert defectkit("verify", runs.out).status == 2
    outcome = runs.run("--workers", workers)
    assert (outcome.status, outcome.err) == (0, "")
    assert runs.rendered == TOTAL
    assert snapshot(runs.out) == undisturbed


@pytest.mark.parametrize("workers", ["1", "2"])
def test_resume_goes_on_from_the_checkpoint(runs: Runs, undisturbed: dict[str, bytes | None], workers: str) -> None:
    runs.stop(signal.SIGKILL, "--workers", workers, after=TOTAL // 3)
    done = runs.done()
    runs.stop(signal.SIGKILL, "--workers", workers, "--resume", after=done + TOTAL // 4)
    done = runs.done()
    outcome = runs.run("--workers", workers, "--resume")
    assert (outcome.status, outcome.err) == (0, "")
    assert runs.rendered == TOTAL - done < TOTAL / 2
    assert snapshot(runs.out) == undisturbed
    assert finished(runs.out) == sorted(FORMATS.split(","))


def test_what_was_written_after_the_checkpoint_is_there_once(runs: Runs, undisturbed: dict[str, bytes | None]) -> None:
    runs.stop(signal.SIGKILL, "--workers", "1", after=TOTAL // 3, beyond=5)
    done, rendered = runs.done(), runs.rendered
    assert done == rendered - 6  # the last of them was not written
    assert runs.run("--workers", "1", "--resume").status == 0
    assert runs.rendered == TOTAL - done
    assert snapshot(runs.out) == undisturbed


@pytest.mark.parametrize(
    ("strike", "flag"), [("clear", "--resume"), ("publish", "--resume"), ("publish", "--overwrite")]
)
def test_a_run_that_is_killed_in_its_last_moments(
    runs: Runs, undisturbed: dict[str, bytes | None], strike: str, flag: str
) -> None:
    assert runs.run(strike=strike).status == -signal.SIGKILL
    assert len(finished(runs.out)) == (1 if strike == "publish" else 0)
    outcome = runs.run(flag)
    assert (outcome.status, outcome.err) == (0, "")
    assert snapshot(runs.out) == undisturbed


def test_a_killed_overwrite_leaves_the_earlier_trees_whole(runs: Runs, undisturbed: dict[str, bytes | None]) -> None:
    assert runs.run("--min-area", "2").status == 0
    before = {path: data for path, data in snapshot(runs.out).items() if not path.startswith(STAGING)}
    runs.stop(signal.SIGKILL, "--overwrite")
    assert {path: data for path, data in snapshot(runs.out).items() if not path.startswith(STAGING)} == before
    done = runs.done()
    assert runs.run("--resume").status == 0
    assert runs.rendered == TOTAL - done
    assert snapshot(runs.out) == undisturbed


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_takes_one_line(runs: Runs, workers: str) -> None:
    outcome = runs.stop(signal.SIGINT, "--workers", workers)
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.startswith("interrupted: ")
    assert "--resume" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert finished(runs.out) == []
    done = runs.done()
    assert runs.run("--workers", workers, "--resume").status == 0
    assert runs.rendered == TOTAL - done


def test_being_told_to_end_leaves_what_a_later_run_goes_on_from(runs: Runs) -> None:
    outcome = runs.stop(signal.SIGTERM)
    assert (outcome.status, outcome.out) == (128 + signal.SIGTERM, "")
    assert outcome.err.startswith("terminated: ")
    assert len(outcome.err.splitlines()) == 1
    assert finished(runs.out) == []
    done = runs.done()
    assert runs.run("--resume").status == 0
    assert runs.rendered == TOTAL - done


# Sends itself a signal when a module is looked for, as if Ctrl-C came just then.
IMPORTER = """
import signal, sys
number, name, *words = sys.argv[1:]

class Striking:
    def find_spec(self, wanted, path=None, target=None):
        if wanted == name:
            sys.meta_path.remove(self)
            signal.raise_signal(int(number))

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
sys.meta_path.insert(0, Striking())
from toolkit.cli import start
sys.argv = ["defectkit", *words]
start()
"""
MOMENTS = [
    ("typer", "--help"),
    ("toolkit.cli.labels", "convert", "DATA", "OUT", "--to", "coco"),
    ("numpy", "convert", "DATA", "OUT", "--to", "coco"),
    ("cv2", "verify", "DATA"),
    ("cv2", "view", "DATA", "--out", "OUT"),
    ("matplotlib", "describe", "DATA", "--out", "OUT"),
    ("torch", "train", "classifier", "DATA", "--out", "OUT"),
    ("torch", "predict", "RUN", "DATA", "--out", "OUT"),
    ("torch", "evaluate", "RUN", "DATA"),
    ("torch", "autolabel", "DATA", "--detector", "RUN", "--out", "OUT"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("name", "words"), [(name, words) for name, *words in MOMENTS])
def test_any_moment_will_do_while_modules_are_loaded(
    tmp_path: Path, name: str, words: list[str], number: signal.Signals
) -> None:
    places = {"DATA": str(make_dataset(tmp_path / "data")), "OUT": str(tmp_path / "out")}
    places["RUN"] = str(ROOT / "tests/old/0.1.0/runs/vae")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER, str(int(number)), name, *(places.get(word, word) for word in words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
        check=False,
    )
    said = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    resumed = words[0] in ("convert", "view", "train")
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr.startswith(f"{said}: the same command with --resume" if resumed else f"{said}: run the same")
    assert len(done.stderr.splitlines()) == 1
    assert snapshot(tmp_path / "out") == {}


def test_resume_with_other_settings_is_refused_and_loses_nothing(
    runs: Runs, undisturbed: dict[str, bytes | None]
) -> None:
    runs.stop(signal.SIGKILL)
    done = runs.done()
    others = [
        ["--min-area", "3"],
        ["--classes", "binary"],
        ["--strategy", "stratified", "--val", "0"],
        ["--images", "none"],
    ]
    for words in [[*runs.words(), *other] for other in others] + [[*runs.words()[:4], "masks"]]:
        outcome = defectkit(*words, "--resume")
        assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
        assert outcome.err.startswith(f"error: {runs.out}: was begun with other files or settings; ")
    assert runs.run("--resume").status == 0
    assert runs.rendered == TOTAL - done
    assert snapshot(runs.out) == undisturbed


def test_resume_with_other_files_is_refused(runs: Runs) -> None:
    runs = runs.copied()
    runs.stop(signal.SIGKILL)
    (runs.root / "part0/test/good/001.png").unlink()
    outcome = runs.run("--resume")
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {runs.out}: was begun with other files or settings; ")
    assert runs.run("--resume", "--overwrite").status == 0
    assert runs.rendered == TOTAL - 1


def test_resume_after_completion_does_nothing(runs: Runs, whole: Path) -> None:
    shutil.copytree(whole, runs.out)
    times = {path: path.stat().st_mtime_ns for path in runs.out.rglob("*")}
    outcome = runs.run("--resume")
    assert (outcome.status, outcome.err, runs.rendered) == (0, "", 0)
    assert sorted(outcome.json()["formats"]) == finished(runs.out)
    assert {path: path.stat().st_mtime_ns for path in runs.out.rglob("*")} == times


def test_what_a_kill_behind_the_last_step_leaves_is_removed(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Staging, "remove", lambda stage: None)
        assert defectkit(*runs.words()).status == 0
    assert (runs.out / STAGING).is_dir()
    assert defectkit(*runs.words("--resume")).status == 0
    assert sorted(path.name for path in runs.out.iterdir()) == finished(runs.out)


def test_what_can_be_gone_on_with_is_left_to_a_run_that_has_nothing_to_do(runs: Runs, whole: Path) -> None:
    words = runs.words()
    words[words.index(FORMATS)] = "labelme"
    shutil.copytree(whole, runs.out)
    told = [str(runs.count), str(int(signal.SIGKILL)), str(TOTAL // 2), "0", "checkpoint"]
    assert run(DRIVER, *told, *words, "--resume").status == -signal.SIGKILL
    done = runs.done()
    assert done
    assert defectkit(*runs.words("--resume")).status == 0
    assert runs.done() == done


def test_resume_after_completion_with_other_settings_is_refused(runs: Runs) -> None:
    assert runs.run().status == 0
    before = snapshot(runs.out)
    outcome = runs.run("--resume", "--min-area", "3")
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
    assert outcome.err == f"error: {outcome.json()['error']}\n"
    assert "is complete, but was made from other files or settings; " in outcome.err
    assert snapshot(runs.out) == before
    assert runs.run("--resume", "--overwrite", "--min-area", "3").status == 0


def test_resume_writes_only_the_formats_that_are_missing(runs: Runs, undisturbed: dict[str, bytes | None]) -> None:
    words = runs.words("--resume")
    words[words.index(FORMATS)] = "coco,masks"
    assert defectkit(*words).status == 0
    times = {path: path.stat().st_mtime_ns for path in (runs.out / "coco").rglob("*")}
    assert runs.run("--resume").status == 0
    assert {path: path.stat().st_mtime_ns for path in (runs.out / "coco").rglob("*")} == times
    assert snapshot(runs.out) == undisturbed


def test_resume_keeps_the_faults_that_were_found_before(runs: Runs) -> None:
    runs = runs.copied()
    early, late = (runs.root / f"part{number}/ground_truth/dent/000_mask.png" for number in (0, 3))
    for mask in (early, late):
        save(mask, stain(0) * 0)
    runs.stop(signal.SIGKILL, "--on-problem", "skip")
    outcome = runs.run("--on-problem", "skip", "--resume")
    assert runs.rendered < TOTAL
    assert [problem["file"] for problem in outcome.json()["skipped"]] == [str(early), str(late)]
    outcome = runs.run("--overwrite")
    assert (outcome.status, len(outcome.errors)) == (2, 2)


LIMITED = """
import resource, sys
from toolkit.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["defectkit", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize(("limit", "existed"), [(0, False), (40, True), (400, False), (5000, True)])
def test_a_file_that_cannot_grow_takes_one_line_and_leaves_nothing(runs: Runs, limit: int, existed: bool) -> None:
    if existed:
        runs.out.mkdir()
    done = subprocess.run(  # its stdout is a pipe, since a file would not grow either
        [sys.executable, "-c", LIMITED, str(limit), *runs.words()],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr == f"error: {json.loads(done.stdout)['error']}\n"
    assert done.stderr.startswith(f"error: {runs.out}")
    assert "cannot be written (File too large); " in done.stderr
    assert runs.out.exists() == existed
    assert snapshot(runs.out) == {}


def full_after(calls: int) -> Callable[..., int]:
    """An os.write on a disk that is full after some calls."""
    write, left = os.write, iter(range(calls))

    def full(file: int, data: bytes) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    return full


@pytest.mark.parametrize("calls", [0, 1, 30])
def test_a_full_disk_takes_one_line_and_leaves_nothing(runs: Runs, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    monkeypatch.setattr("converters.writing.tree_writer.os.write", full_after(calls))
    outcome = defectkit("convert", runs.root, runs.out / "a/b", "--to", "yolo-detect,masks")
    monkeypatch.undo()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {runs.out}")
    assert "cannot be written (No space left on device); free space" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not runs.out.exists()


@pytest.mark.parametrize("name", ["mkdir", "link"])
def test_a_folder_that_cannot_be_written(runs: Runs, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, name, refuse)
    outcome = defectkit("convert", runs.root, runs.out, "--to", "coco")
    monkeypatch.undo()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {runs.out}")
    assert "cannot be written (Read-only file system); " in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not runs.out.exists()


def test_a_run_that_is_killed_twice_keeps_the_subsets_that_it_had_finished(runs: Runs) -> None:
    runs = runs.copied()
    for number in range(1, CATEGORIES):  # what is left has its test images first, and its train images last
        shutil.rmtree(runs.root / f"part{number}")
    assert defectkit(*runs.words()).status == 0
    wanted = snapshot(runs.out)
    shutil.rmtree(runs.out)
    for done in (IMAGES - 2, IMAGES - 1):
        more = ["--resume"] if done == IMAGES - 1 else []
        runs.run("--workers", "1", *more, strike="checkpoint", number=signal.SIGKILL, after=done)
        assert runs.done() == done
    assert runs.run("--workers", "1", "--resume").status == 0
    assert snapshot(runs.out) == wanted
