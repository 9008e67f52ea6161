"""Training a detector: the losses of ultralytics' own trainer, no network, killed and resumed, frozen, in processes."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.detection.data import open_detection_data, write_tree
from finetune.detection.runtime import read_ultralytics
from finetune.engine.runs import Run, open_run, read_metrics, start_run
from finetune.yolo_world.config import YoloWorldConfig
from finetune.yolo_world.learner import text_features, train
from finetune.yolo_world.models import PromptedSource, find_model
from finetune.yolo_world.prompts import every_phrase, phrases_of_data, tree_names
from tests.finetune.runs import TINY
from tests.finetune.yolo_world.detecting import SMALL, STOCK, make_data, settings, split_file
from tests.processes import finish, start
from toolkit.errors import ToolkitError

_PROGRAM = """
import json, os, signal, sys
from pathlib import Path
{before}
from finetune.engine.config import parse_config
from finetune.yolo_world.learner import YoloWorldConfig, predict, train
data, config, out = Path(sys.argv[1]), parse_config(YoloWorldConfig, json.loads(sys.argv[2])), Path(sys.argv[3])
{after}
"""
_FORBIDDING = """
assert "ultralytics" not in sys.modules  # which reaches for the network already when it is imported
for name in [name for name in os.environ if name.startswith(("YOLO_", "ULTRALYTICS_"))]:
    del os.environ[name]
os.environ["ULTRALYTICS_API_KEY"] = "ul_" + "0" * 40
def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"reached for the network: {event} {arguments}".encode())
        os._exit(77)
    if event == "subprocess.Popen" and "pip" in str(arguments):
        os.write(2, f"installed a package: {arguments}".encode())
        os._exit(78)
sys.addaudithook(forbid)
import matplotlib.figure
whole = matplotlib.figure.Figure.savefig
matplotlib.figure.Figure.savefig = lambda *words, **told: whole(*words, **{**told, "dpi": 20})  # which takes a tenth
"""


def losses(file: Path) -> list[float]:
    with open(file, newline="", encoding="utf-8") as found:
        return [float(row["train_loss"]) for row in csv.DictReader(found)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), image_size=128)


@pytest.fixture(scope="module")
def split(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"file": str(split_file(data, tmp_path_factory.mktemp("split") / "split.csv"))}


@pytest.fixture(scope="module")
def overfit(data: Path, split: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on sixteen images, none of them held out."""
    config = settings(epochs=7, image_size=128, instances="image", split=split)
    return train(data, config, tmp_path_factory.mktemp("runs") / "run")


def test_sixteen_images_are_learnt(overfit: Run) -> None:
    found = losses(overfit.root / "log.csv")
    assert len(found) == 7
    assert found[-1] < 0.7 * found[0]
    assert (read_metrics(overfit)["images"], read_metrics(overfit)["instances"]) == (16, 14)
    assert any("the very images it was trained on" in note for note in overfit.environment()["notes"])


def test_repeatable_arithmetic_ends_with_the_training(overfit: Run) -> None:
    assert not torch.are_deterministic_algorithms_enabled()


class Prepared:
    """All that a trainer needs, in a run of its own."""

    def __init__(self, data: Path, out: Path, **changed: Any) -> None:
        self.config: YoloWorldConfig = settings(**changed)
        self.found = open_detection_data(data, self.config)
        self.source: PromptedSource = find_model(self.config.model, self.config.weights)
        self.phrases = phrases_of_data(self.found, self.config)
        self.table = text_features(self.phrases, self.config, self.source)[0]
        self.run = start_run(out, "yolo-world", self.config, subsets=self.found.examples.subsets, data=data)
        names = tree_names(self.phrases)
        self.tree = write_tree(self.found, self.run, self.config, masks=self.source.masks, names=names)

    def trainer(self) -> Any:
        from finetune.detection.trainer import make_trainer
        from finetune.yolo_world.trainer import prompted_trainer

        base, known = prompted_trainer(self.source, self.table)
        return make_trainer(base, self.run, self.config, self.source, self.tree, known, validate=False)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, list[int]]:
    """An epoch in this process, which built a head of the older form before; and what was called after each batch."""

    def tracker(one: Any) -> None:
        seen.append(-1)

    from ultralytics.nn.tasks import DetectionModel

    tracker.__module__ = "ultralytics.utils.callbacks.wb"  # which a user may have switched on for other work
    DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    ready, seen = Prepared(data, tmp_path_factory.mktemp("alone") / "run", epochs=1), list[int]()
    trainer = ready.trainer()
    trainer.add_callback("on_train_batch_end", tracker)
    trainer.add_callback("on_train_batch_end", lambda one: seen.append(one.accumulate))
    trainer.train()
    return ready, seen


def steps(trainer: Any) -> list[list[float]]:
    """Train, and return the parts of the loss at each step."""
    found: list[list[float]] = []
    trainer.add_callback(
        "on_train_batch_end", lambda one: found.append([float(part) for part in one.loss_items.values()])
    )
    trainer.train()
    return found


class TestStock:
    def test_losses_are_those_of_ultralytics_own_trainer(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ready = Prepared(data, tmp_path / "run", model=STOCK, augment={"preset": "stock"}, epochs=2)
        ours = steps(ready.trainer())
        from ultralytics.models.yolo.world.train import WorldTrainer
        from ultralytics.nn.tasks import WorldModel

        from finetune.detection.trainer import trainer_settings

        def given(model: Any, text: list[str], batch: int = 80, cache_clip_model: bool = False) -> torch.Tensor:
            return ready.table.stacked(text)[None]

        monkeypatch.setattr(WorldModel, "get_text_pe", given)
        told = trainer_settings(ready.run, ready.config, ready.source, ready.tree)
        stock = steps(WorldTrainer(overrides={**told, "save_dir": str(tmp_path / "stock"), "val": False}))
        assert len(ours) == len(stock) == 4
        assert torch.allclose(torch.tensor(ours), torch.tensor(stock), rtol=0, atol=1e-4)
        assert ours[0] != ours[-1]

    def test_a_step_follows_each_batch_and_no_tracker_does(self, alone: tuple[Prepared, list[int]]) -> None:
        assert alone[1] == [1, 1]


class TestOffline:
    def test_nothing_reaches_for_the_network(self, data: Path, tmp_path: Path) -> None:
        after = (
            "import socket; run = train(data, config, out)\n"
            "predict(run, sorted(data.glob('test/rough/*.png')), out.parent / 'answers', words=['a hole'])\n"
            "import finetune; plain = finetune.train('yolo', data, out.parent / 'plain', json.loads(sys.argv[4]))\n"
            "plain.predict(min(data.glob('test/rough/*.png')))\n"
            "print('whole', flush=True)\n"
            "socket.getaddrinfo('localhost', 80)"
        )
        config = {**SMALL, "model": STOCK, "epochs": 1, "plots": True, "phrases": {"rough": "rauhe Stelle, größer 粗"}}
        code = _PROGRAM.format(before=_FORBIDDING, after=after)
        plain = json.dumps({**TINY["yolo"], "split": SMALL["split"]})
        status = finish(start(code, data, json.dumps(config), tmp_path / "run", plain, says=tmp_path))
        assert (tmp_path / "stdout").read_text() == "whole\n", (tmp_path / "stderr").read_text()
        assert status == 77  # of the last line, which shows that the ban works
        assert (tmp_path / "answers/detections.json").is_file()


class TestResume:
    def test_a_run_that_is_killed_goes_on(self, data: Path, tmp_path: Path) -> None:
        config = json.dumps({**SMALL, "epochs": 3})
        stop = "lambda done, all: os.kill(os.getpid(), signal.SIGKILL) if done == 2 else None"
        out = tmp_path / "run"
        code = _PROGRAM.format(before="", after=f"train(data, config, out, False, {stop})")
        assert finish(start(code, data, config, out)) == -signal.SIGKILL
        assert not (out / "metrics.json").exists()
        begun = losses(out / "log.csv")
        seen: list[tuple[int, int]] = []
        run = train(data, settings(epochs=3), out, True, lambda now, most: seen.append((now, most)))
        assert seen == [(2, 3), (3, 3)]
        found = losses(out / "log.csv")
        assert found[0] == begun[0]
        assert len(found) == 3
        assert read_metrics(run)["images"] == 9

    def test_a_run_whose_training_was_done_is_only_tested(self, overfit: Run, data: Path, split: Any) -> None:
        kept = read_metrics(overfit)
        (overfit.root / "metrics.json").unlink()
        before = (overfit.checkpoints / "best.pt").read_bytes()
        config = settings(epochs=7, image_size=128, instances="image", split=split)
        train(data, config, overfit.root, True)
        found = read_metrics(overfit)
        assert {name: found[name] for name in ("map50", "map50_95")} == {
            name: kept[name] for name in ("map50", "map50_95")
        }
        assert (overfit.checkpoints / "best.pt").read_bytes() == before

    def test_a_full_disk_leaves_the_checkpoint_before_it(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = Path.write_bytes

        def full(path: Path, content: bytes) -> int:
            whole(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        def fill(done: int, most: int) -> None:
            if done == 2:
                monkeypatch.setattr(Path, "write_bytes", full)

        with pytest.raises(
            ToolkitError, match=r"cannot be written \(No space left on device\); free space; then resume=True"
        ):
            train(data, settings(epochs=2), tmp_path / "run", False, fill)
        assert read_ultralytics(tmp_path / "run/checkpoints/last.pt")[1]["epoch"] == 0

    def test_a_loss_that_is_no_number_ends_it(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ultralytics.utils.loss import v8DetectionLoss

        loss = v8DetectionLoss.loss

        def spoiled(*arguments: Any) -> Any:
            whole, parts = loss(*arguments)
            return whole * math.nan, {name: part * math.nan for name, part in parts.items()}

        monkeypatch.setattr(v8DetectionLoss, "loss", spoiled)
        with pytest.raises(ToolkitError, match=r"the loss is not a number in epoch 0; lower lr"):
            train(data, settings(epochs=2), tmp_path / "run")


class TestWeights:
    def test_training_goes_on_from_a_checkpoint_with_all_but_the_head_frozen(
        self, overfit: Run, data: Path, split: dict[str, str], tmp_path: Path
    ) -> None:
        begin = overfit.checkpoints / "best.pt"
        config = settings(model=str(begin), freeze="neck", epochs=1, image_size=128, instances="image", split=split)
        run = train(data, config, tmp_path / "run")
        told = run.environment()
        assert told["weights"] == "default"
        assert len(told["weights_sha256"]) == 64
        before, after = (read_ultralytics(file)[0].state_dict() for file in (begin, run.checkpoints / "last.pt"))
        changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
        assert changed == {str(max(int(name.split(".")[1]) for name in before))}
        assert losses(run.root / "log.csv")[0] < losses(overfit.root / "log.csv")[0]

    def test_without_weights_only_the_architecture_is_taken(
        self, overfit: Run, data: Path, split: dict[str, str], tmp_path: Path
    ) -> None:
        config = settings(
            model=str(overfit.checkpoints / "best.pt"),
            weights="none",
            epochs=1,
            image_size=128,
            instances="image",
            split=split,
        )
        run = train(data, config, tmp_path / "run")
        assert run.environment()["weights_sha256"] is None
        assert losses(run.root / "log.csv")[0] > 0.8 * losses(overfit.root / "log.csv")[0]


def test_a_trainer_that_is_sent_to_another_process_carries_all_it_needs(
    alone: tuple[Prepared, list[int]], data: Path, tmp_path: Path
) -> None:
    ready = Prepared(data, tmp_path / "run", epochs=1)
    trainer = ready.trainer()
    from ultralytics.utils.dist import generate_ddp_file

    script = generate_ddp_file(trainer)  # what its DDP starts for each GPU
    code = f"import os, runpy; os.chdir({str(tmp_path)!r}); runpy.run_path({script!r}, run_name='__main__')"
    assert finish(start(code, environment=os.environ, says=tmp_path)) == 0, (tmp_path / "stderr").read_text()
    assert (tmp_path / "stdout").read_text() == ""
    there = losses(ready.run.root / "log.csv")
    assert sorted(path.name for path in ready.run.checkpoints.iterdir()) == ["best.pt", "last.pt"]
    model, _ = read_ultralytics(ready.run.checkpoints / "best.pt")
    assert model.text_encoder == "hash"
    assert torch.equal(torch.as_tensor(model.txt_feats)[0], ready.table.stacked(every_phrase(ready.phrases)))
    assert losses(open_run(alone[0].run.root).root / "log.csv") == pytest.approx(there, rel=1e-6)


def test_what_else_this_process_built_makes_no_difference(
    alone: tuple[Prepared, list[int]], data: Path, tmp_path: Path
) -> None:
    from ultralytics.nn.tasks import DetectionModel

    DetectionModel("yolo11n.yaml", nc=3, verbose=False)
    ready = Prepared(data, tmp_path / "run", epochs=1)
    ready.trainer().train()
    assert losses(ready.run.root / "log.csv") == losses(alone[0].run.root / "log.csv")
