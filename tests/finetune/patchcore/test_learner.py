"""PatchCore from data to labels: its run directory, its figures, runs that are killed, what it refuses."""

from __future__ import annotations

import csv
import json
import re
import signal
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from finetune.anomaly.data import open_good_examples
from finetune.anomaly.detector import score_files
from finetune.engine.config import parse_config
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import Run, open_run, read_metrics
from finetune.engine.splits import SplitConfig
from finetune.patchcore.budget import Budget
from finetune.patchcore.features import PatchFeatures
from finetune.patchcore.learner import PatchcoreConfig, evaluate, train
from finetune.patchcore.predictor import build_features, load_trained
from finetune.patchcore.remembering import Memorizer
from tests.processes import finish, start
from toolkit.errors import ToolkitError
from toolkit.synthetic.product import write_product

SMALL: dict[str, Any] = {
    "weights": "none",
    "image_size": 32,
    "max_patches": 40,
    "candidates": 200,
    "device": "cpu",
}


def config(**settings: Any) -> PatchcoreConfig:
    return parse_config(PatchcoreConfig, {**SMALL, **settings})


def figures(run: Run) -> dict[str, Any]:
    return {name: value for name, value in read_metrics(run).items() if name not in ("seconds", "split_sha256")}


def known(run: Run) -> dict[str, float]:
    with open(run.root / "known_scores.csv", newline="", encoding="utf-8") as file:
        return {row["key"]: float(row["score"]) for row in csv.DictReader(file)}


def noted(run: Run, start: str) -> str:
    """The one note that begins so."""
    (found,) = [note for note in run.environment()["notes"] if note.startswith(start)]
    return str(found)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("data"), image_size=64, per_class=1, train_good=10)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(data, config(), tmp_path_factory.mktemp("runs") / "run")


class TestRun:
    def test_metrics_have_the_keys_of_the_contract(self, run: Run) -> None:
        found = read_metrics(run)
        wanted = {"image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro", "false_reject", "escape"}
        assert wanted | {"seconds", "split_sha256"} <= set(found)
        assert found["images"] == 8

    def test_the_environment_says_what_is_remembered(self, run: Run) -> None:
        told = run.environment()
        assert told["blocks"] == ["blocks.2", "blocks.4"]
        assert told["memory_bank"] == {"patches": 16, "dims": 152, "megabytes": 0.01}
        assert noted(run, "memory bank").startswith("memory bank: 16 of 160 patches (10 images x 16) x 152 numbers")
        assert told["threshold_promise"]["scores"] == "cross-fitted"

    def test_each_train_image_is_scored_without_itself(self, run: Run, data: Path) -> None:
        ready, own = load_trained(run), known(run)
        assert len(own) == 10
        assert max(own.values()) == run.environment()["threshold"]
        with_itself = [one.score for one in score_files(ready, sorted((data / "train/good").glob("*.png")))]
        assert all(one <= own[key] for one, key in zip(with_itself, sorted(own), strict=True))
        assert sum(with_itself) < sum(own.values())

    def test_evaluating_it_again_gives_its_own_figures(self, run: Run) -> None:
        assert evaluate(open_run(run.root)) == pytest.approx(figures(run))

    def test_the_same_seed_gives_the_same_bytes(self, run: Run, data: Path, tmp_path: Path) -> None:
        again = train(data, config(), tmp_path / "again")
        for name in ("checkpoints/last.ckpt", "predictions.csv", "known_scores.csv"):
            assert (again.root / name).read_bytes() == (run.root / name).read_bytes(), name

    def test_a_run_that_is_killed_goes_on_to_the_same_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        program = (
            "import json, os, signal, sys; from pathlib import Path; from finetune.patchcore.learner import *;"
            "from finetune.engine.config import parse_config;"
            "config = parse_config(PatchcoreConfig, json.loads(sys.argv[2]));"
            "stop = lambda done, all: os.kill(os.getpid(), signal.SIGKILL) if done == 18 else None;"
            "train(Path(sys.argv[1]), config, Path(sys.argv[3]), False, stop)"
        )
        out = tmp_path / "run"
        assert finish(start(program, data, json.dumps(SMALL), out)) == -signal.SIGKILL
        assert (out / "checkpoints/last.ckpt").exists()
        assert not (out / "metrics.json").exists()
        steps: list[tuple[int, int]] = []
        lines: list[str] = []
        with listening(lambda kind, line: lines.append(line)):
            train(data, config(), out, resume=True, progress=lambda done, total: steps.append((done, total)))
        assert re.fullmatch(r"expected to take \d+ s here, less reading", lines[lines.index(noted(run, "memory")) + 1])
        assert steps == [(10, 20), (18, 20), (20, 20)]
        assert figures(open_run(out)) == figures(run)


def test_images_are_held_out_and_views_remembered_where_told(run: Run, data: Path, tmp_path: Path) -> None:
    settings = {"seed": 1, "cross_fit": False, "hold_out": 0.5, "augment": {"preset": "turn"}, "epochs": 3}
    found = train(data, config(**settings), tmp_path / "run")
    assert figures(found) != figures(run)
    told = found.environment()
    assert (told["augment"], told["best_chosen_on"]) == ("turn", "5 good images of train")
    assert noted(found, "memory bank").startswith("memory bank: 40 of 640 patches (40 images x 16)")
    assert noted(found, "epochs=3 has no effect")
    assert told["threshold_promise"]["scores"] == "held out"
    assert len(known(found)) == 5


class OneOddPatch(torch.nn.Module):
    """Patches of noise, and in each image one that is like no other."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = torch.randn(len(images), 400, 6, generator=torch.Generator().manual_seed(1))
        patches[:, 123] = 50.0
        return patches


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_an_image_shows_once_is_among_its_candidates(seed: int, data: Path) -> None:
    settings, good = config(seed=seed, candidates=80), open_good_examples(data, SplitConfig(strategy="native"))
    train_images, odd = good.subset("train"), cast(PatchFeatures, OneOddPatch())
    budget = Budget(images=10, patches=400, dims=6, candidates=80, bank=40, drawn=8)
    patches, origin = Memorizer(odd, train_images, settings, "none", budget, torch.device("cpu"))._draw()
    assert (patches.shape, origin.bincount().tolist()) == ((80, 6), [8] * 10)
    assert (patches[:, 0] == 50.0).sum() == 10


class TestFeatures:
    def test_patches_are_means_of_both_maps_side_by_side(self) -> None:
        torch.manual_seed(0)
        features, _ = build_features(config(image_size=64, neighbourhood=1), "none")
        images = torch.rand(2, 3, 64, 64)
        found = features(images)
        fine, coarse = features.extractor(images * 2 - 1)
        assert (features.side, features.dims, tuple(found.shape)) == (8, 152, (2, 64, 152))
        assert torch.allclose(found[1, 9, :40], fine[1, :, 1, 1], atol=1e-5)
        upscaled = torch.nn.functional.interpolate(coarse, (8, 8), mode="bilinear", align_corners=False)
        assert torch.allclose(found[0, 63, 40:], upscaled[0, :, 7, 7], atol=1e-5)

    def test_blocks_by_number_or_name(self) -> None:
        features, backbone = build_features(config(blocks=[1, "blocks.3"]), "none")
        assert (features.blocks, features.dims) == (("blocks.1", "blocks.3"), 24 + 80)
        with pytest.raises(ToolkitError, match="block 99"):
            PatchFeatures(backbone, [99])


class TestRefusals:
    def test_a_bank_of_other_settings(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "checkpoints").mkdir()
        for name in ("environment.json", "metrics.json", "checkpoints/last.ckpt"):
            (tmp_path / name).write_bytes((run.root / name).read_bytes())
        text = (run.root / "config.yaml").read_text()
        (tmp_path / "config.yaml").write_text(text.replace("blocks: []", "blocks: [1]"))
        with pytest.raises(ToolkitError, match="belongs to another model"):
            load_trained(open_run(tmp_path))

    def test_a_checkpoint_without_a_bank(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "checkpoints").mkdir()
        for name in ("environment.json", "config.yaml"):
            (tmp_path / name).write_bytes((run.root / name).read_bytes())
        torch.save({"state_dict": {}}, tmp_path / "checkpoints/last.ckpt")
        with pytest.raises(ToolkitError, match="holds no memory bank"):
            load_trained(open_run(tmp_path))

    def test_a_promise_that_so_few_images_cannot_keep(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="give more good images"):
            train(data, config(max_false_reject="1 %"), tmp_path / "run")
        assert not (tmp_path / "run").exists()
