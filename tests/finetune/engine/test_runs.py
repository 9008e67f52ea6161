"""Run directories: what stands in them, and whose they are."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import (
    Run,
    csv_bytes,
    file_sha256,
    holds_run,
    open_run,
    read_config,
    read_metrics,
    run_lock,
    split_sha256,
    start_run,
)
from finetune.learners import LEARNERS, find_learner
from tests.commands import ROOT
from toolkit.errors import ToolkitError
from toolkit.files.locks import BusyError

SUBSETS = {"b": "test", "a": "train"}


def begin(out: Path, **more: object) -> object:
    settings = {"learner": "classifier", "config": LearnerConfig(), "subsets": SUBSETS, "data": out.parent, **more}
    return start_run(out, **settings)  # type: ignore[arg-type]


def test_a_run_says_what_it_used(tmp_path: Path) -> None:
    run = start_run(
        tmp_path / "run", "vae", LearnerConfig(lr=0.5), subsets=SUBSETS, data=tmp_path, weights_sha256="abc"
    )
    about = json.loads((run.root / "environment.json").read_text())
    assert (about["learner"], about["images"], about["weights_sha256"]) == ("vae", 2, "abc")
    assert about["schema"] == 3
    assert about["split_sha256"] == split_sha256(SUBSETS)
    assert "numpy" in about["packages"]
    assert open_run(run.root) == run
    assert read_config(run, LearnerConfig) == LearnerConfig(lr=0.5)
    run.note(device="cpu")
    assert run.environment() == {**about, "device": "cpu"}


def test_metrics_are_flat_end_the_run_and_name_the_split(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", "vae", LearnerConfig(), subsets=SUBSETS, data=tmp_path)
    with pytest.raises(ToolkitError, match="did not go to its end; train it with resume=True"):
        read_metrics(run)
    assert not run.finished
    run.write_metrics({"image_auroc": 0.5, "pixel_auroc": float("nan")}, seconds=1.23456)
    assert run.finished
    assert read_metrics(run) == {
        "image_auroc": 0.5,
        "pixel_auroc": None,
        "split_sha256": split_sha256(SUBSETS),
        "seconds": 1.235,
    }


def test_the_hash_of_a_split_is_of_keys_and_subsets_in_any_order() -> None:
    assert split_sha256({"a": "train", "b": "test"}) == split_sha256(SUBSETS)
    assert split_sha256({"a": "test", "b": "train"}) != split_sha256(SUBSETS)


def test_predictions_have_a_row_for_each_image(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", "vae", LearnerConfig(), subsets=SUBSETS, data=tmp_path)
    run.write_predictions([{"key": 'a,"b"', "score": 0.5}, {"key": "ä", "score": 1}])
    assert (run.root / "predictions.csv").read_text() == 'key,score\n"a,""b""",0.5\nä,1\n'
    assert csv_bytes([]) == b""


def test_the_log_has_a_row_for_each_epoch_and_what_is_repeated_replaces_what_stood_there(tmp_path: Path) -> None:
    run = Run(tmp_path, "vae")
    assert (run.log_rows(), run.logged_seconds()) == ([], 0)
    for epoch in (0, 1, 2, 1):  # the run was interrupted in epoch 2, and goes on from the end of epoch 0
        run.log_epoch({"epoch": str(epoch), "seconds": "1.500"})
    run.log_epoch({"epoch": "2", "val_loss": "0.25", "seconds": "0.250"})
    assert (tmp_path / "log.csv").read_text() == "epoch,seconds,val_loss\n0,1.500,\n1,1.500,\n2,0.250,0.25\n"
    assert run.logged_seconds() == 3.25


def test_the_last_checkpoint_is_the_best_where_none_was_chosen(tmp_path: Path) -> None:
    run = Run(tmp_path, "vae")
    assert run.best_checkpoint == tmp_path / "checkpoints/last.ckpt"
    run.checkpoints.mkdir()
    (run.checkpoints / "best.ckpt").touch()
    assert run.best_checkpoint == tmp_path / "checkpoints/best.ckpt"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    with pytest.raises(ToolkitError, match="run: is not empty; choose another folder with out, or add resume=True"):
        begin(tmp_path / "run")
    begin(tmp_path / "run", resume=True)


@pytest.mark.parametrize(("rank", "refused"), [("", True), ("0", True), ("1", False)])
def test_of_processes_that_train_together_the_first_holds_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str, refused: bool
) -> None:
    def other() -> bool:
        try:
            with run_lock(tmp_path / "run"):
                return False
        except ToolkitError:
            return True

    with run_lock(tmp_path / "run"), ThreadPoolExecutor() as pool:
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert pool.submit(other).result() == refused


def test_a_training_holds_its_run_to_the_end(tmp_path: Path) -> None:
    @holds_run
    def train(data: Path, out: Path, resume: bool = False) -> Run:
        with ThreadPoolExecutor() as pool, pytest.raises(BusyError):
            pool.submit(again).result()
        return Run(out, "tiny")

    def again() -> None:
        train(tmp_path, out=tmp_path / "run")

    assert train(tmp_path, tmp_path / "run").root == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_does(learner: str, tmp_path: Path) -> None:
    with run_lock(tmp_path / "run"), ThreadPoolExecutor() as pool:
        training = pool.submit(find_learner(learner).train, tmp_path, None, tmp_path / "run", False, None)
        assert isinstance(training.exception(), BusyError)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learner": "vae"}, "is a run of classifier, not of vae"),
        ({"config": LearnerConfig(lr=0.1, epochs=2)}, r"was begun with other settings \(epochs, lr\)"),
        ({"subsets": {"a": "train"}}, "was begun with other images or another split"),
    ],
)
def test_only_the_same_run_is_resumed(tmp_path: Path, change: dict[str, object], message: str) -> None:
    begin(tmp_path / "run")
    with pytest.raises(ToolkitError, match=message):
        begin(tmp_path / "run", resume=True, **change)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="nothing: no such run; name a run directory"):
        open_run(tmp_path / "nothing")
    with pytest.raises(ToolkitError, match=r"is no run directory \(it has no config\.yaml\)"):
        open_run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError, match="file: is a file; name a folder"):
        begin(tmp_path / "file")


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"abc")
    assert file_sha256(tmp_path / "w").startswith("ba7816bf8f01cfea")
    with pytest.raises(ToolkitError, match="cannot be read"):
        file_sha256(tmp_path / "v")


def test_runs_are_read_without_torch() -> None:
    code = "import sys, finetune.engine.runs, finetune.engine.config, finetune.learners; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"
