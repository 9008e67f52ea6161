"""Ctrl-C in training: one line, the status of an interruption, and a run that goes on to the same numbers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from finetune.engine.config import load_config
from finetune.learners import find_config
from finetune.training import train
from tests.finetune.runs import TINY, make_data
from tests.processes import finish, start
from toolkit.errors import ToolkitError

# Sends itself a signal when the second epoch of a training has ended, before its checkpoint is written.
PROGRAM = """
import signal, sys
import toolkit.cli.learning
from contextlib import contextmanager
from toolkit.cli import main

number, *words = sys.argv[1:]

@contextmanager
def striking(text):
    yield lambda done, total: signal.raise_signal(int(number)) if done == 2 else None

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
toolkit.cli.learning.progress_bar = striking
sys.argv = ["defectkit", *words]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_interrupted_says_how_to_go_on_and_does(tmp_path: Path, number: signal.Signals) -> None:
    data, out = make_data(tmp_path / "data"), tmp_path / "run"
    settings = [f"--set={name}={value}" for name, value in TINY["vae"].items()]
    words = [str(int(number)), "train", "vae", str(data), "--out", str(out), *settings]
    assert finish(start(PROGRAM, *words, says=tmp_path)) == 128 + number
    said = (tmp_path / "stderr").read_text().splitlines()
    assert len(said) == 1
    assert said[0].startswith({signal.SIGINT: "interrupted: ", signal.SIGTERM: "terminated: "}[number])
    assert "--resume" in said[0]
    assert not (out / "metrics.json").exists()
    assert (out / "checkpoints/last.ckpt").is_file()
    run = train("vae", data, out, load_config(find_config("vae"), None, settings_of(settings)), resume=True)
    assert (run.finished, len(run.log_rows())) == (True, 2)


def settings_of(words: list[str]) -> list[str]:
    return [word.removeprefix("--set=") for word in words]


def test_in_python_it_stays_an_interruption(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("vae", make_data(tmp_path / "data"), tmp_path / "run", TINY["vae"], progress=stop)
    assert signal.getsignal(signal.SIGINT) == before
    with pytest.raises(ToolkitError, match="is not empty"):
        train("vae", tmp_path / "data", tmp_path / "run", TINY["vae"])
