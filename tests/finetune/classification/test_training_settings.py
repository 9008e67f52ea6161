"""What classifiers are told about training: heads, learning rates, averages, patience, folds; and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from finetune.classification.config import BackboneConfig, HeadConfig
from finetune.classification.folds import draw_folds
from finetune.classification.heads import build_network, make_head
from finetune.classification.inference import Predictions
from finetune.classification.optimizers import choose_optimizer, rate_factor, weight_averaging
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.module import class_weights
from finetune.engine.config import LearnerConfig, parse_config
from finetune.engine.learner import check_patience
from finetune.engine.splits import ImageRecord, SplitConfig, open_examples
from finetune.learners import find_config
from finetune.longtail.losses import balanced_softmax_loss, logit_adjusted_loss, reslt_loss
from tests.commands import make_dataset
from toolkit.errors import ToolkitError


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ({}, "Linear"),
        ({"dropout": 0.5}, "Dropout Linear"),
        ({"kind": "mlp", "hidden": 7}, "Linear ReLU Linear"),
        ({"kind": "mlp", "dropout": 0.5}, "Linear ReLU Dropout Linear"),
    ],
)
def test_heads(head, layers):
    made = make_head(5, 3, HeadConfig(**head))
    found = [type(layer).__name__ for layer in (made if isinstance(made, nn.Sequential) else [made])]
    assert found == layers.split()
    assert made.eval()(torch.zeros(2, 5)).shape == (2, 3)


def test_a_network_has_the_head_that_it_is_told_and_a_size_that_it_takes(monkeypatch):
    told: dict[str, Any] = {"backbone": "squeezenet1_1", "weights": "none", "image_size": 64}
    backbone = build_network(BackboneConfig(**told, head={"kind": "mlp"}, aspect=4), "none", 3)
    assert isinstance(backbone.model.get_submodule(backbone.head), nn.Sequential)
    assert backbone.model.eval()(torch.zeros(1, 3, 32, 128)).shape == (1, 3)
    squares = replace(backbone, model=nn.Linear(5, 3))
    monkeypatch.setattr("finetune.classification.heads.build_backbone", lambda *_, **__: squares)
    with pytest.raises(ToolkitError, match="aspect: squeezenet1_1 cannot take images of 128 x 32 px; use aspect=1"):
        build_network(BackboneConfig(**told, aspect=4), "none", 3)


def test_the_rate_rises_and_then_follows_the_schedule():
    told: dict[str, Any] = {"epochs": 10, "warmup": 2}
    for schedule, expected in (
        ("constant", [1 / 3, 2 / 3, *[1.0] * 8]),
        ("cosine", [1 / 3, 2 / 3, *((1 + np.cos(np.pi * np.arange(8) / 8)) / 2)]),
        ("step", [1 / 3, 2 / 3, *[1.0] * 4, 0.1, 0.1, 0.01, 0.01]),
    ):
        config = BackboneConfig(**told, schedule=schedule)
        assert [rate_factor(config, epoch) for epoch in range(10)] == pytest.approx(expected)
    chosen = choose_optimizer([nn.Parameter(torch.ones(1))], [], BackboneConfig(**told, lr=0.3))
    assert chosen["optimizer"].param_groups[0]["lr"] == pytest.approx(0.1)


def test_an_average_follows_fast_at_first_and_leaves_counters_alone():
    (callback,) = weight_averaging(0.9)
    average = torch.optim.swa_utils.AveragedModel(Counted(), use_buffers=True, **callback._kwargs)
    module, expected = Counted(), 0.0
    for step in range(100):
        with torch.no_grad():
            module.weight.fill_(step + 1.0)
        module.count.fill_(10 + step)
        average.update_parameters(module)
        held = min(0.9, (1 + step) / (10 + step)) if step else 0.0  # the first is taken as it is
        expected = held * expected + (1 - held) * (step + 1)
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
        assert average.module.count.item() == 10 + step
    assert weight_averaging(0) == []


class Counted(nn.Module):
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.tensor(10))


def test_an_image_weighs_one_on_average():
    labels = [0] * 6 + [1] * 2 + [2]
    weights = class_weights(labels)
    assert weights.tolist() == pytest.approx([0.5, 1.5, 3.0])
    assert weights[torch.tensor(labels)].mean().item() == pytest.approx(1)


@pytest.mark.parametrize("loss", ["balanced", "adjusted", "reslt"])
def test_the_losses_of_the_long_tail_are_smoothed(loss):
    logits, labels, counts = torch.tensor([[3.0, 0, 0], [0, 2, 1]]), torch.tensor([0, 1]), torch.tensor([5, 5, 5])
    members = torch.ones(1, 3, dtype=torch.bool)
    of = {
        "balanced": partial(balanced_softmax_loss, logits, labels, counts),
        "adjusted": partial(logit_adjusted_loss, logits, labels, counts, 1.0),
        "reslt": partial(reslt_loss, logits[None], labels, members, 0.5),
    }[loss]
    smoothed = nn.functional.cross_entropy(logits, labels, label_smoothing=0.3)
    assert of(smoothing=0.3).item() == pytest.approx(smoothed.item())
    assert of().item() == pytest.approx(nn.functional.cross_entropy(logits, labels).item())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epochs": 5, "warmup": 5}, "warmup: takes all of the 5 epochs: set it to 4 or less"),
        ({"tiles": {"side": 8}}, "tiles: a side of 8 px shows nothing"),
        ({"tiles": {"side": 64}, "aspect": 2}, "tiles: tiles are squares"),
        ({"tiles": {"side": 64}, "resize": "letterbox"}, "tiles: tiles are squares"),
        ({"tiles": {"side": 64}, "augment": {"crop": 0.5}}, "augment: crops of crops"),
        ({"out_of_fold": 1}, "out_of_fold: one fold leaves nothing"),
        ({"out_of_fold": 3, "devices": 2}, "out_of_fold: folds are trained on one device"),
        ({"mode": "linear-probe", "head": {"kind": "mlp"}}, "mode: a linear probe has a linear head"),
        ({"ema": 1.0}, "ema"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, told):
    with pytest.raises(ToolkitError, match=told):
        parse_config(ClassifierConfig, settings)


@pytest.mark.parametrize(
    ("learner", "way"),
    [
        ("classifier", "use hold_out=0.2, or a split with"),
        ("longtail", "use hold_out=0.2, or a split with"),
        ("vae", "use hold_out=0.2, or a split with"),
        ("sam", "use hold_out=0.2, or a split with"),
        ("yolo-world", "use a split with a val subset, or patience=0"),
    ],
)
def test_patience_without_validation_images_is_refused_with_a_way_out(learner, way):
    kind: type[LearnerConfig] = find_config(learner)
    with pytest.raises(ToolkitError, match=f"patience 3: there are no validation images .*; {way}"):
        check_patience(parse_config(kind, {"patience": 3}), [])
    check_patience(parse_config(kind, {"patience": 3}), [1])
    check_patience(parse_config(kind, {}), None)


def test_folds_hold_each_image_once(tmp_path):
    data = make_dataset(tmp_path / "data")
    examples = open_examples(data, SplitConfig(val=0, test=0.3))
    smallest = min(sum(one.label == label for one in examples.examples) for label in examples.classes)
    folds = draw_folds(examples, BackboneConfig(out_of_fold=smallest))
    tested = [key for subsets in folds.subsets for key, subset in subsets.items() if subset == "test"]
    assert sorted(tested) == [one.key for one in examples.examples]
    with pytest.raises(
        ToolkitError, match=rf"out_of_fold {smallest + 30}: .*; use out_of_fold={smallest + 29} or less"
    ):
        draw_folds(examples, BackboneConfig(out_of_fold=smallest + 30))
    assert draw_folds(examples, BackboneConfig()).subsets == ()


def test_the_confusion_matrix_has_a_row_for_each_class(tmp_path):
    labels = ["good", "good", "dent"]
    examples = [ImageRecord(str(index), tmp_path, label, "", "test") for index, label in enumerate(labels)]
    chances = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    assert Predictions(examples, ["good", "dent"], chances).confusion_rows() == [
        {"true_class": "good", "as_good": 1, "as_dent": 1},
        {"true_class": "dent", "as_good": 0, "as_dent": 1},
    ]
