"""Two commands that write the same folder at once: the second is turned away, and the first ends as if alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import yaml

from tests.commands import PATIENCE, defectkit, make_dataset, snapshot
from tests.processes import finish, start
from toolkit import write_product
from toolkit.files.locks import LOCK

# A command that stops in the midst of its writing: it makes a file `begun`, and goes on when there is a file `go`.
DRIVER = """
import importlib, sys, time
from pathlib import Path

place, home, *words = sys.argv[1:]
module, owner, name = place.split(":")
holder = getattr(importlib.import_module(module), owner)
call = getattr(holder, name)

def hold(*args, **kwargs):
    setattr(holder, name, call)
    if name == "begin":
        call(*args, **kwargs)
    (Path(home) / "begun").touch()
    while not (Path(home) / "go").exists():
        time.sleep(0.01)
    return call(*args, **({"anew": False} if name == "begin" else kwargs))

setattr(holder, name, hold)
from toolkit.cli import main
sys.argv = ["defectkit", *words]
main()
"""
BEGUN = "toolkit.files.staging:Staging:begin"
OPENED = "toolkit.dataset.dataset:Dataset:__init__"
TRAINED = "finetune.engine.runs:Run:write_metrics"
SMALL = {"backbone": "squeezenet1_1", "weights": "none", "image_size": 32, "epochs": 1, "plots": False}
TINY = ["--set=device=cpu", *(f"--set={name}={value}" for name, value in SMALL.items())]


@contextmanager
def held(home: Path, place: str, *words: str | Path) -> Iterator[BaseProcess]:
    """A command in a process of its own, held in the midst of its writing."""
    home.mkdir(exist_ok=True)
    process = start(DRIVER, place, home, *words, says=home)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (home / "begun").exists():
            assert process.is_alive(), (home / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.join()


def release(home: Path, process: BaseProcess) -> None:
    """Let a command that is held go on to its end, which is a good one."""
    (home / "go").touch()
    assert finish(process) == 0, (home / "stderr").read_text()


def refused(out: Path, process: BaseProcess) -> tuple[int, str, str]:
    problem = f"error: {out}: is being written by another run (process {process.pid})"
    return 2, "", f"{problem}; wait for it, or choose another folder\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("source") / "data")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"), image_size=64, per_class=5, train_good=4)


@pytest.fixture(scope="module")
def run(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert defectkit("train", "classifier", product, *TINY, "--out", out).status == 0
    return out


Words = Callable[[Path, Path], list[str | Path]]
COMMANDS: dict[str, Words] = {
    "convert": lambda data, out: ["convert", data, out, "--to", "coco,yolo-segment", "--images", "copy"],
    "prepare": lambda data, out: ["prepare", data, out],
    "view": lambda data, out: ["view", data, "--out", out],
    "describe": lambda data, out: ["describe", data, "--out", out],
    "synth": lambda data, out: ["synth", out.parent, "--product", out.name, "--per-class", "1", "--train-good", "0"],
}
FLAGS = {"convert": ["--overwrite", "--resume"], "prepare": ["--overwrite", "--resume"]}
FLAGS |= {"view": ["--overwrite", "--resume"], "describe": ["--overwrite"], "synth": []}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_is_refused_and_the_first_ends_as_if_alone(command: str, data: Path, tmp_path: Path) -> None:
    out, home = tmp_path / "there" / "out", tmp_path / "home"
    words = COMMANDS[command](data, out)
    with held(home, BEGUN, *words) as process:
        for more in ([], *([flag] for flag in FLAGS[command])):
            assert defectkit(*words, *more) == refused(out, process)
        release(home, process)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    alone = tmp_path / "beside" / "out"
    assert defectkit(*COMMANDS[command](data, alone)).status == 0
    assert snapshot(out) == snapshot(alone)


@pytest.mark.parametrize("flag", ["", "--resume"])
@pytest.mark.parametrize("command", ["convert", "prepare", "view"])
def test_the_lock_of_a_killed_run_stops_nobody(command: str, flag: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "there" / "out"
    words = COMMANDS[command](data, out)
    with held(tmp_path / "home", BEGUN, *words) as process:
        process.kill()
        process.join(PATIENCE)
    assert (out.parent / f".out{LOCK}").is_file()
    assert defectkit(*words, *([flag] if flag else [])).status == 0
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    alone = tmp_path / "beside" / "out"
    assert defectkit(*COMMANDS[command](data, alone)).status == 0
    assert snapshot(out) == snapshot(alone)


def test_other_commands_are_refused_too(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held(tmp_path / "home", BEGUN, *COMMANDS["view"](data, out)) as process:
        for command in ("convert", "prepare", "describe", "synth"):
            assert defectkit(*COMMANDS[command](data, out)) == refused(out, process)
        assert defectkit("demo", out) == refused(out, process)
        release(tmp_path / "home", process)
    assert (out / "index.html").is_file()


def test_a_run_directory_is_held_to_the_end_of_the_training(product: Path, tmp_path: Path) -> None:
    out, home = tmp_path / "runs" / "run", tmp_path / "home"
    words = ["train", "classifier", product, *TINY, "--out", out]
    with held(home, TRAINED, *words) as process:
        before = snapshot(out)
        for more in ([], ["--resume"]):
            assert defectkit(*words, *more) == refused(out, process)
        assert snapshot(out) == before
        release(home, process)
    assert [path.name for path in out.parent.iterdir()] == ["run"]
    assert (out / "metrics.json").is_file()


def test_a_killed_training_is_gone_on_with(product: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "run"
    words = ["train", "classifier", product, *TINY, "--out", out]
    with held(tmp_path / "home", TRAINED, *words) as process:
        process.kill()
        process.join(PATIENCE)
    assert (out.parent / f".run{LOCK}").is_file()
    assert "is not empty" in defectkit(*words).err
    assert defectkit(*words, "--resume").status == 0
    assert [path.name for path in out.parent.iterdir()] == ["run"]


def test_trainings_that_choose_their_folder_choose_different_ones(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = ["train", "classifier", product, *TINY, "--out", tmp_path / "runs/classifier-1"]
    with held(tmp_path / "home", OPENED, *first) as process:
        assert not (tmp_path / "runs/classifier-1").exists()
        assert defectkit("train", "classifier", product, *TINY).status == 0
        release(tmp_path / "home", process)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["classifier-1", "classifier-2"]


def test_predictions_are_held_too(run: Path, product: Path, tmp_path: Path) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    words = ["predict", run, product / "test/rough", "--out", out]
    with held(home, BEGUN, *words) as process:
        assert defectkit(*words) == refused(out, process)
        release(home, process)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out"]


def test_attempts_are_held_too(product: Path, tmp_path: Path) -> None:
    file, out, home = tmp_path / "attempts.yaml", tmp_path / "out", tmp_path / "home"
    told = {"data": str(product), "folds": 0, "settings": SMALL, "attempts": {"baseline": {}}}
    file.write_text(yaml.safe_dump(told))
    words = ["attempts", file, "--out", out, "--set", "device=cpu"]
    with held(home, TRAINED, *words) as process:
        assert defectkit(*words) == refused(out, process)
        baseline = out / "fixed" / "baseline"
        again = defectkit("train", "classifier", product, *TINY, "--out", baseline)
        assert again == refused(baseline, process)
        release(home, process)
    assert not list(tmp_path.rglob(f"*{LOCK}"))
