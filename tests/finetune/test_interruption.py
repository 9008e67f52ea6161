"""Ctrl-C in training: one line, the status of an interruption, and a run that goes on to the same numbers."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from finetune.training import train
from tests.finetune.runs import TINY, make_data
from tests.processes import finish, start
from toolkit.errors import ToolkitError

# Sends itself a signal when the second epoch of a training has ended, before its checkpoint is written; PatchCore has
# none, and gets it when the last image has been looked at.
PROGRAM = """
import signal, sys
import toolkit.cli.learning
from contextlib import contextmanager
from toolkit.cli import main

number, *words = sys.argv[1:]

@contextmanager
def striking(text):
    yield lambda done, total: signal.raise_signal(int(number)) if done == total and total in (2, 32) else None

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
toolkit.cli.learning.progress_bar = striking
sys.argv = ["defectkit", *words]
main()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("source") / "data")


STRIKES = [("vae", signal.SIGTERM), *((name, signal.SIGINT) for name in TINY if name != "yolo")]  # as yolo-world


@pytest.mark.parametrize(("learner", "number"), STRIKES)
def test_a_training_that_is_interrupted_says_how_to_go_on_and_does(
    tmp_path: Path, data: Path, learner: str, number: signal.Signals
) -> None:
    out, settings = tmp_path / "run", {**TINY[learner], "epochs": 2}
    words = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
    words = [str(int(number)), "train", learner, str(data), "--out", str(out), *words]
    assert finish(start(PROGRAM, *words, says=tmp_path)) == 128 + number
    said = [line for line in (tmp_path / "stderr").read_text().splitlines() if not line.startswith("note: ")]
    assert len(said) == 1, said
    assert said[0].startswith({signal.SIGINT: "interrupted: ", signal.SIGTERM: "terminated: "}[number])
    assert "--resume" in said[0]
    assert not (out / "metrics.json").exists()
    assert [path for path in (out / "checkpoints").iterdir() if path.stem == "last"]
    run = train(learner, data, out, settings, resume=True)
    assert (run.finished, len(run.log_rows())) == (True, 1 if learner == "patchcore" else 2)


def test_in_python_it_stays_an_interruption(tmp_path: Path, data: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("vae", data, tmp_path / "run", TINY["vae"], progress=stop)
    assert signal.getsignal(signal.SIGINT) == before
    with pytest.raises(ToolkitError, match="is not empty"):
        train("vae", data, tmp_path / "run", TINY["vae"])
