"""The long-tail classifier: its settings, its six methods, and that its runs are honest and repeat."""

from __future__ import annotations

import csv
import json
import math
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from finetune.engine.config import dump_config, load_config, parse_config
from finetune.engine.runs import Run, open_run, read_config, read_metrics
from finetune.learners import find_learner
from finetune.longtail.data import Tail
from finetune.longtail.learner import LEARNER, LongtailConfig, evaluate, group_accuracies, predict, prepare, train
from finetune.longtail.losses import (
    adjust_logits,
    balanced_softmax_loss,
    branch_members,
    logit_adjusted_loss,
    reslt_loss,
)
from finetune.longtail.module import LongtailModule, fit_longtail
from toolkit import write_product
from toolkit.errors import ToolkitError

METHODS = ("cross-entropy", "class-balanced", "balanced-softmax", "logit-adjustment", "crt", "reslt")
TINY = {
    "backbone": "squeezenet1_1",
    "weights": "none",
    "image_size": 32,
    "batch_size": 16,
    "epochs": 2,
    "device": "cpu",
    "augment": {"rotation": 0, "colour": 0},
    "plots": False,
}
TAIL = Tail((50, 7, 1), ("head", "medium", "tail"), 50.0)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of its 5 images a class 3 are for training, 1 for validation and 1 for test; of 21 good ones 15, 2 and 4."""
    return write_product(tmp_path_factory.mktemp("data"), image_size=64, per_class=5, train_good=16)


def tiny(method: str = "reslt", **settings: Any) -> LongtailConfig:
    own = {"retrain_epochs": 2} if method == "crt" else {}
    return parse_config(LongtailConfig, {**TINY, **own, "method": method, **settings})


class Features(nn.Module):
    """(B, 3, H, W) -> (B, 4, 1, 1): of a single image there is no variance."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(self.first(images))
        return found


class Watched(LongtailModule):
    """Remembers which images it was trained on in each epoch."""

    def __init__(self, tail: Tail, config: LongtailConfig, frozen: int = 0) -> None:
        features = Features()
        super().__init__(features, 4, tail, config, [features.first][:frozen])
        self.seen: list[list[tuple[int, int]]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        self.seen[-1] += zip(batch["label"].tolist(), batch["index"].tolist(), strict=True)
        return super().training_step(batch)


def watch(product: Path, out: Path, config: LongtailConfig, frozen: int = 0) -> tuple[Watched, dict[str, torch.Tensor]]:
    """The module after training, and what it was before."""
    torch.manual_seed(0)
    examples, chosen, tail = prepare(product, config)
    module = Watched(tail, config, frozen)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit_longtail(module, chosen, examples, Run(out, "longtail"), config)
    return module, before


# Settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "crt", "alpha": 0.5}, "alpha: belongs to the method reslt, not to crt"),
        ({"method": "reslt", "tau": 1.0}, "tau: belongs to the method logit-adjustment, not to reslt"),
        ({"method": "class-balanced", "retrain_epochs": 5}, "retrain_epochs: belongs to the method crt"),
        ({"method": "balanced-softmax", "adjust": "loss"}, "adjust: belongs to the method logit-adjustment"),
        ({"method": ["crt", "reslt"]}, "method: takes one method: two would correct for the tail twice"),
        ({"method": "crt+reslt"}, "method: takes one method"),
        ({"method": "focal"}, "method: input should be 'cross-entropy', 'class-balanced'"),
        ({"groups": "good"}, "groups: good images as head and defects as tail are two groups: set branches to 2"),
        ({"branches": 4}, "branches: input should be 2 or 3"),
        ({"alpha": 1.5}, "alpha: input should be less than or equal to 1"),
        ({"longtail": {"imbalance": 1}}, "longtail.imbalance: input should be greater than or equal to 2"),
        ({"longtail": {"imbalnce": 50}}, "unknown key 'longtail.imbalnce'; did you mean imbalance?"),
        ({"metod": "crt"}, "unknown key 'metod'; did you mean method?"),
        ({"backbone": "resnet81"}, "there is no such backbone; did you mean resnet"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolkitError) as error:
        parse_config(LongtailConfig, settings)
    assert said in str(error.value)


@pytest.mark.parametrize("method", METHODS)
def test_settings_are_the_same_after_writing_and_reading(method: str, tmp_path: Path) -> None:
    config = parse_config(LongtailConfig, {"method": method, "longtail": {"imbalance": 50}})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(LongtailConfig, tmp_path / "config.yaml") == config


def test_a_method_has_its_own_numbers_and_no_others() -> None:
    told = {method: parse_config(LongtailConfig, {"method": method}) for method in METHODS}
    own = ("alpha", "tau", "adjust", "retrain_epochs")
    found = {method: {name for name in own if getattr(config, name) is not None} for method, config in told.items()}
    assert found == {
        **{method: set() for method in METHODS},
        "reslt": {"alpha"},
        "logit-adjustment": {"tau", "adjust"},
        "crt": {"retrain_epochs"},
    }


# Methods


def test_each_method_has_its_loss() -> None:
    logits = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    labels, counts = torch.tensor([0, 2, 1, 0, 2]), torch.tensor(TAIL.counts)
    plain = nn.functional.cross_entropy(logits[0], labels)
    expected = {
        "cross-entropy": plain,
        "class-balanced": plain,
        "crt": plain,
        "logit-adjustment": plain,
        "balanced-softmax": balanced_softmax_loss(logits[0], labels, counts),
        "reslt": reslt_loss(logits, labels, branch_members(TAIL.groups), 0.4),
    }
    for method, loss in expected.items():
        module = LongtailModule(Features(), 4, TAIL, tiny(method, **({"alpha": 0.4} if method == "reslt" else {})))
        assert torch.equal(module.loss(logits, labels), loss), method
    module = LongtailModule(Features(), 4, TAIL, tiny("logit-adjustment", adjust="loss", tau=0.5))
    assert torch.equal(module.loss(logits, labels), logit_adjusted_loss(logits[0], labels, counts, 0.5))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_predicted_is_the_sum_of_the_branches_adjusted_where_the_method_says_so(method: str) -> None:
    torch.manual_seed(0)
    module = LongtailModule(Features(), 4, TAIL, tiny(method)).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = module.net(images).sum(dim=0)
        if method == "logit-adjustment":
            expected = adjust_logits(expected, torch.tensor(TAIL.counts), 1.0)
        assert torch.equal(module(images), expected)
    assert module.net(images).shape[0] == (3 if method == "reslt" else 1)


def test_with_two_branches_good_is_the_head_and_the_defects_are_the_tail(product: Path) -> None:
    examples, _, tail = prepare(product, tiny(branches=2))
    assert tail.groups == ("head", *["tail"] * 7)
    module = LongtailModule(Features(), 4, tail, tiny(branches=2))
    assert module.members.tolist() == [[True] * 8, [False] + [True] * 7]
    assert examples.classes[0] == "good"


@pytest.mark.parametrize("method", ["cross-entropy", "class-balanced", "balanced-softmax", "logit-adjustment", "reslt"])
def test_only_class_balanced_sampling_draws_images_other_than_they_come(
    product: Path, tmp_path: Path, method: str
) -> None:
    module, _ = watch(product, tmp_path, tiny(method, epochs=3))
    once_each = [len(epoch) == len(set(epoch)) == 36 for epoch in module.seen]
    assert once_each == [method != "class-balanced"] * 3


def test_crt_trains_all_on_images_as_they_come_then_a_new_classifier_on_balanced_ones(
    product: Path, tmp_path: Path
) -> None:
    module, before = watch(product, tmp_path, tiny("crt", epochs=1, retrain_epochs=20))
    first, second = module.seen[0], [pair for epoch in module.seen[1:] for pair in epoch]
    assert len(first) == len(set(first)) == 36
    shares = Counter(label for label, _ in second)
    assert len(second) == 20 * 36
    assert all(abs(shares[label] / len(second) - 1 / 8) < 0.05 for label in range(8))  # 15 / 36 are good
    stage = torch.load(tmp_path / "representation/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    after = module.state_dict()
    features = [name for name in after if "features" in name]
    assert all(torch.equal(after[name], stage[name]) for name in features)  # batch statistics too
    assert not all(torch.equal(before[name], stage[name]) for name in features)
    assert not torch.equal(after["net.head.classifier.weight"], stage["net.head.classifier.weight"])


def test_the_classifier_of_the_second_stage_begins_anew() -> None:
    module = LongtailModule(Features(), 4, TAIL, tiny("crt"))
    nn.init.constant_(module.net.head.classifier.weight, 100.0)
    module.retrain_classifier(5)
    assert float(module.net.head.classifier.weight.detach().abs().max()) < 1
    assert module.config.epochs == 5
    trained = [name for name, value in module.named_parameters() if value.requires_grad]
    assert trained == ["net.head.classifier.weight", "net.head.classifier.bias"]


def test_frozen_parts_keep_their_batch_statistics(product: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, before = watch(product, tmp_path, tiny("reslt"), frozen=1)
    after = module.state_dict()
    kept = {name for name in after if name.startswith("net.features.first.1.") and "running" in name}
    assert len(kept) == 2
    assert all(torch.equal(after[name], before[name]) for name in kept)
    assert not torch.equal(after["net.features.second.2.running_mean"], before["net.features.second.2.running_mean"])


def test_a_rest_of_one_image_is_trained_on(product: Path, tmp_path: Path) -> None:
    module, _ = watch(product, tmp_path, tiny("reslt", batch_size=7, epochs=1))  # 36 images
    assert len(module.seen[0]) == 36
    assert all(value.isfinite().all() for value in module.state_dict().values())


# Runs


@pytest.fixture(scope="module", params=METHODS)
def run(request: pytest.FixtureRequest, product: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of each method; the last one has pictures."""
    config = tiny(request.param, plots=request.param == METHODS[-1])
    return LEARNER.train(product, config, tmp_path_factory.mktemp("runs") / "run", False, None)


def test_a_run_says_how_good_it_is(run: Run) -> None:
    metrics = read_metrics(run)
    keys = "accuracy accuracy_low accuracy_high balanced_accuracy accuracy_head accuracy_medium accuracy_tail"
    assert set(keys.split()) <= metrics.keys()
    recalls = [metrics[f"recall_class_{label}"] for label in run.environment()["classes"]]
    assert metrics["balanced_accuracy"] == pytest.approx(sum(recalls) / 8)
    assert metrics["accuracy_head"] == recalls[0]
    assert metrics["accuracy_medium"] is None  # 15 good images and 3 of each defect: nothing is between
    assert metrics["accuracy_tail"] == pytest.approx(sum(recalls[1:]) / 7)
    assert metrics["images"] == 4 + 7


def test_a_run_says_what_it_used(run: Run) -> None:
    told = run.environment()
    assert told["train_images"] == [15] + [3] * 7
    assert told["groups"] == ["head"] + ["tail"] * 7
    assert told["imbalance_factor"] == 5.0
    assert told["best_chosen_on"] == "the val subset"
    drawn = (
        ["confusion.png", "curves.png", "rates.png", "scores.png"]
        if read_config(run, LongtailConfig).method == METHODS[-1]
        else []
    )
    assert sorted(path.name for path in run.plots.iterdir()) == drawn
    with open(run.root / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["train_images"] for row in rows] == ["15"] + ["3"] * 7


def test_evaluating_a_run_gives_its_metrics_again(run: Run) -> None:
    written = read_metrics(run)
    found = evaluate(open_run(run.root))
    assert found == {name: written[name] for name in found}


def test_predicting_test_images_gives_the_rows_of_the_run(run: Run, product: Path, tmp_path: Path) -> None:
    with open(run.root / "predictions.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["subset"] == "test"]
    images = [product.parent / f"{row['key']}.png" for row in rows]
    found = predict(run, images, tmp_path)
    assert [row["predicted"] for row in found] == [row["predicted"] for row in rows]
    assert [row["file"] for row in found] == [str(image) for image in images]
    assert all(row["group"] == ("head" if row["predicted"] == "good" else "tail") for row in found)
    assert all(row["probability"] == row[f"p_{row['predicted']}"] for row in found)


class Scripted(Watched):
    """Is right, in each epoch, about the validation images of these classes; of class 0 there are two."""

    RIGHT = ((0, 1), (1, 2, 3), (0, 1, 2), (2,))

    def validation_step(self, batch: dict[str, Any]) -> None:
        right = self.RIGHT[self.current_epoch]
        told = zip(batch["index"].tolist(), batch["label"].tolist(), strict=True)
        self._rows += [(index, (label, label if label in right else 7 - label)) for index, label in told]


def test_the_best_epoch_is_that_of_the_highest_balanced_accuracy_on_validation(product: Path, tmp_path: Path) -> None:
    config = tiny("cross-entropy", epochs=4)
    examples, chosen, tail = prepare(product, config)
    module = Scripted(tail, config)
    fitted = fit_longtail(module, chosen, examples, Run(tmp_path, "longtail"), config)
    with open(tmp_path / "log.csv", newline="") as file:
        figures = [float(row["val_balanced_accuracy"]) for row in csv.DictReader(file)]
    assert figures == [2 / 8, 3 / 8, 3 / 8, 1 / 8]  # the share of right images is highest in the third epoch
    best = torch.load(fitted.best, weights_only=True)
    assert (best["epoch"], fitted.score) == (1, 3 / 8)
    assert all(torch.equal(value, best["state_dict"][name]) for name, value in module.state_dict().items())


@pytest.fixture(scope="module")
def undisturbed(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[LongtailConfig], Run]:
    """The run of some settings that nothing interrupted, made once."""
    made: dict[str, Run] = {}

    def run(config: LongtailConfig) -> Run:
        text = dump_config(config)
        if text not in made:
            made[text] = train(product, config, tmp_path_factory.mktemp("whole") / "run")
        return made[text]

    return run


class StoppedError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize(
    ("method", "settings", "at", "last"),
    [
        ("reslt", {"epochs": 3}, 2, (3, 3)),
        ("crt", {}, 1, (4, 4)),
        ("crt", {}, 3, (4, 4)),
        ("crt", {"epochs": 5, "patience": 1}, 6, (7, 7)),  # its first stage ends early, and must not go on
    ],
)
def test_a_run_that_is_resumed_ends_with_the_same_metrics(
    product: Path,
    tmp_path: Path,
    undisturbed: Callable[[LongtailConfig], Run],
    method: str,
    settings: dict[str, Any],
    at: int,
    last: tuple[int, int],
) -> None:
    config = tiny(method, lr=0.003, **settings)
    told: list[tuple[int, int]] = []

    def interrupt(done: int, total: int) -> None:
        if done == at:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(product, config, tmp_path / "broken", progress=interrupt)
    resumed = train(product, config, tmp_path / "broken", resume=True, progress=lambda *now: told.append(now))
    whole = undisturbed(config)
    assert (told[0][0], told[-1]) == (at, last)  # the epoch that was cut short is the first to be repeated
    found = [{k: v for k, v in read_metrics(one).items() if k != "seconds"} for one in (resumed, whole)]
    assert found[0] == found[1]
    assert (resumed.root / "predictions.csv").read_bytes() == (whole.root / "predictions.csv").read_bytes()


def test_a_balanced_split_is_refused_with_the_figure_and_a_tail_can_be_made_of_it(
    product: Path, tmp_path: Path
) -> None:
    uniform = {"strategy": "uniform", "per_class": 5, "test_per_class": 1}
    with pytest.raises(ToolkitError) as error:
        train(product, tiny(split=uniform), tmp_path / "run")
    assert "the largest class has 4 images, the smallest 4 (imbalance factor 1.00, below 2)" in str(error.value)
    assert not (tmp_path / "run").exists()
    made = tiny("cross-entropy", split=uniform, longtail={"imbalance": 4}, epochs=1)
    told = train(product, made, tmp_path / "run").environment()
    assert (told["train_images"], told["imbalance_factor"]) == ([4, 3, 3, 2, 2, 1, 1, 1], 4.0)
    assert told["groups"] == ["head"] * 3 + ["medium"] * 2 + ["tail"] * 3
    assert told["best_chosen_on"] == "nothing: the last epoch"


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"test": 0, "strategy": "stratified"}, "has no test images in this split"),
        ({"strategy": "native"}, "has no training images of 'broken_teeth'"),
    ],
)
def test_splits_that_are_refused(product: Path, tmp_path: Path, split: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolkitError, match=said):
        train(product, tiny(split=split), tmp_path / "run")


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return Path.write_text, (self.marker, "ran")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def small(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(product, tiny("reslt", epochs=1), tmp_path_factory.mktemp("small") / "run")


def test_a_checkpoint_made_to_run_code_is_refused(small: Run, product: Path, tmp_path: Path) -> None:
    checkpoint, marker = small.checkpoints / "best.ckpt", tmp_path / "marker"
    image = min((product / "test").glob("*/*.png"))
    good = checkpoint.read_bytes()
    try:
        checkpoint.write_bytes(pickle.dumps({"state_dict": Payload(marker)}))
        for use in (lambda: evaluate(small), lambda: predict(small, [image], tmp_path)):
            with pytest.raises(ToolkitError, match="made to run code"):
                use()
    finally:
        checkpoint.write_bytes(good)
    assert not marker.exists()


def test_other_data_is_evaluated_whole_and_must_have_no_foreign_class(
    small: Run, product: Path, tmp_path: Path
) -> None:
    other = write_product(tmp_path, image_size=64, per_class=1, train_good=0, seed=1)
    assert evaluate(small, other)["images"] == 8  # too few to be split
    more = write_product(tmp_path / "more", image_size=64, per_class=5, train_good=0, seed=1)
    assert evaluate(small, more)["images"] == 40  # none of these was trained on either
    (other / "test/rough").rename(other / "test/smooth")
    (other / "ground_truth/rough").rename(other / "ground_truth/smooth")
    with pytest.raises(ToolkitError, match="has a class that the run does not know: 'smooth'"):
        evaluate(small, other)
    assert evaluate(small, product) == evaluate(small)


def test_data_that_changed_is_not_taken_for_the_data_of_the_run(small: Run, product: Path) -> None:
    gone = product / "test/good/000.png"
    gone.rename(product.parent / "aside.png")
    try:
        with pytest.raises(ToolkitError, match="is not as it was"):
            evaluate(small)
    finally:
        (product.parent / "aside.png").rename(gone)


def test_the_accuracy_of_a_group_is_the_mean_recall_of_its_classes() -> None:
    found = group_accuracies([0.9, 0.5, 0.7, math.nan, math.nan], ["head", "tail", "tail", "tail", "medium"])
    assert found == {"accuracy_head": 0.9, "accuracy_medium": None, "accuracy_tail": pytest.approx(0.6)}


def test_the_learner_is_found_by_its_name(small: Run) -> None:
    assert find_learner("longtail") is LEARNER
    assert read_config(small, LEARNER.config).method == "reslt"  # type: ignore[attr-defined]
    assert json.loads((small.root / "metrics.json").read_text())["split_sha256"] == small.environment()["split_sha256"]
