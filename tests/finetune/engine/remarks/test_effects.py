"""Settings that were changed and do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.engine.config import parse_config
from finetune.engine.remarks.effects import unused_settings
from finetune.learners import LEARNERS, find_config

BY_FILE = {"split": {"file": "split.csv"}}


@pytest.mark.parametrize(
    ("learner", "given", "names"),
    [
        ("vae", {"weights": "none"}, {"weights": "model=feature"}),
        ("vae", {"weights": "none", "model": "pixel", "loss": "ssim"}, {"weights": "model=feature"}),
        ("vae", {"weights": "none", "model": "feature", "backbone": "resnet34"}, {}),
        ("vae", {"grad_steps": 9, "loss": "ssim"}, {"loss": "model=pixel", "grad_steps": "score=grad"}),
        ("vae", {"split": {"test": 0.5}}, {}),  # of good images among defects
        ("vae", {"split": {"per_class": 5}}, {"split.per_class": "split.strategy=uniform"}),
        ("classifier", {"lr": 0.1, "mode": "linear-probe"}, {"lr": "mode=finetune"}),
        ("classifier", {"augment": {"colour": 0}, "mode": "linear-probe"}, {"augment.colour": "mode=finetune"}),
        ("classifier", {"probe_strength": 3.0}, {"probe_strength": "mode=linear-probe"}),
        ("classifier", {"split": {"folds": 3}}, {"split.folds": "split.strategy=kfold"}),
        ("classifier", {"split": {"folds": 3, "strategy": "kfold"}}, {}),
        ("classifier", {"split": {"seed": 3, "strategy": "native"}}, {"split.seed": "stratified or uniform or kfold"}),
        ("classifier", {"split": {"seed": 3, **BY_FILE["split"]}}, {"split.seed": "split.file says"}),
        ("classifier", {"split": {"strategy": "uniform", **BY_FILE["split"]}}, {"split.strategy": "split.file says"}),
        ("classifier", BY_FILE, {}),
        ("sam", {"model": "tiny", "lora": 2, "cache": "x"}, {"cache": "train_encoder=false and lora=0"}),
        ("sam", {"model": "tiny", "cache": "x", "train_encoder": False}, {}),
        (
            "sam",
            {"model": "tiny", "encoder_lr_scale": 0.5, "train_encoder": False},
            {"encoder_lr_scale": "train_encoder=true"},
        ),
        ("sam", {"model": "tiny", "jitter": 0.5, "box_share": 0}, {"jitter": "box_share!=0.0"}),
        ("yolo-world", {"prompts": "hash", "encoder": "ViT-L-14"}, {"encoder": "prompts=clip"}),
        ("yolo-world", {"optimizer": "auto", "lr": 0.1}, {"lr": "optimizer!=auto"}),
    ],
)
def test_they_are_told_with_what_they_need(learner: str, given: dict[str, Any], names: dict[str, str]) -> None:
    found = unused_settings(parse_config(find_config(learner), given))
    assert [note.partition("=")[0] for note in found] == list(names)
    for note, needs in zip(found, names.values(), strict=True):
        assert " has no effect: " in note
        assert needs in note


@pytest.mark.parametrize("learner", list(LEARNERS))
def test_defaults_are_never_told_and_what_is_needed_are_settings(learner: str) -> None:
    kind = find_config(learner)
    assert unused_settings(kind()) == []
    for name, needs in kind.belongs.items():
        assert name in kind.model_fields
        conditions = [one for part in needs.split(" or ") for one in part.split(" and ")]
        assert {one.partition("=")[0].removesuffix("!") for one in conditions} <= set(kind.model_fields)
