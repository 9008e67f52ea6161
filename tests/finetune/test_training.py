"""Training from Python: where settings come from, which of them wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune import train
from finetune.classifier import ClassifierConfig
from finetune.training import resolve_config
from finetune.vae import VaeConfig
from tests.finetune.runs import TINY
from toolkit import ToolkitError, write_product


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("epochs: 7\nsplit:\n  strategy: uniform\n  seed: 3\n")
    return path


@pytest.mark.parametrize("form", [str, Path, "mapping", "config"], ids=str)
def test_a_config_comes_in_any_form_and_single_settings_win(form: Any, file: Path) -> None:
    mapping = {"epochs": 7, "split": {"strategy": "uniform", "seed": 3}}
    given = {"mapping": mapping, "config": ClassifierConfig(**mapping)}.get(form) or form(file)
    assert resolve_config(ClassifierConfig, given, {}) == ClassifierConfig(**mapping)
    found = resolve_config(ClassifierConfig, given, {"lr": 0.5, "split": {"seed": 4}})
    assert (found.epochs, found.lr) == (7, 0.5)
    assert found.model_dump()["split"]["strategy"] == "uniform"
    assert found.model_dump()["split"]["seed"] == 4


def test_without_a_config_settings_have_their_defaults() -> None:
    assert resolve_config(VaeConfig, None, {"epochs": 3}) == VaeConfig(epochs=3)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (None, {"lrr": 1}, "lrr=1: unknown key 'lrr'; did you mean lr?"),
        ({"lrr": 1}, {}, "config: unknown key 'lrr'; did you mean lr?"),
        (None, {"lr": -1}, "lr=-1: lr: input should be greater than 0"),
        (VaeConfig(), {}, "config: is a VaeConfig, not a ClassifierConfig; make one of those"),
        ("no.yaml", {}, "no.yaml: cannot be read (No such file or directory); check the path"),
    ],
)
def test_settings_that_mean_nothing_are_told(config: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolkitError) as told:
        resolve_config(ClassifierConfig, config, settings)
    assert str(told.value).startswith(message)


def test_a_learner_that_is_none_and_a_run_to_resume_that_is_not_named(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"classifer: is no learner; did you mean classifier\?"):
        train("classifer", tmp_path)
    with pytest.raises(ToolkitError, match=r"^'': is no learner; use one of"):
        train("", tmp_path)
    with pytest.raises(ToolkitError, match=r"^'x{40}': is no learner; use one of"):
        train("x" * 5000, tmp_path)
    with pytest.raises(ToolkitError, match="does not say which run to go on with"):
        train("vae", tmp_path, resume=True)


def test_a_threshold_is_chosen_by_images_of_the_products_that_were_trained_on(tmp_path: Path) -> None:
    for number, name in enumerate(("first", "second")):
        write_product(tmp_path / "data", product=name, image_size=64, per_class=5, train_good=10, seed=number)
    settings = {**TINY["classifier"], "categories": "first"}
    run = train("classifier", tmp_path / "data", tmp_path / "run", settings)
    assert run.evaluate(max_false_reject=0.9)["threshold_images"] > 0
