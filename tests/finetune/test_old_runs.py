"""Run directories of version 0.1.0: they are read under today's names, and a newer version's are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune.engine.config import dump_config
from finetune.engine.runs import Run, open_run, read_config, read_metrics, split_sha256, start_run
from finetune.experiments.comparison import compare_runs
from finetune.learners import find_learner
from tests.commands import ROOT, snapshot
from toolkit.errors import ToolkitError

OLD = ROOT / "tests/old/0.1.0"
RUNS = OLD / "runs"
TODAY: dict[str, dict[str, Any]] = {
    "classifier": {"optimizer": "adam", "backbone": "shufflenet_v2_x0_5", "plots": False},
    "longtail": {"optimizer": "adam", "method": "reslt", "alpha": 0.85},
    "vae": {
        "patch_size": 2,
        "num_downsamples": 1,
        "base_channels": 8,
        "augment": {"preset": "auto"},
        "max_false_reject": "auto",
        "latent": 2,
    },
    "sam": {"prompts_per_image": 2, "refinement_steps": 1, "model": "tiny"},
    "yolo-world": {"plots": False, "augment": {"preset": "none"}, "optimizer": "adamw", "prompts": "hash"},
}


def config_of(run: Run) -> Any:
    return read_config(run, find_learner(run.learner).config)


@pytest.mark.parametrize("learner", TODAY)
class TestEachLearner:
    def test_its_settings_have_todays_names_and_the_values_that_they_had(self, learner: str) -> None:
        run = open_run(RUNS / learner, learner)
        found = yaml.safe_load(dump_config(config_of(run)))
        assert {name: found[name] for name in TODAY[learner]} == TODAY[learner]
        written = yaml.safe_load((run.root / "config.yaml").read_text())
        same = written.keys() & found.keys() - TODAY[learner].keys()
        found["split"] = {name: found["split"][name] for name in written["split"]}  # it has keys that are newer
        assert all(found[name] == written[name] for name in same)
        assert len(written.keys() - found.keys()) == {"vae": 4, "sam": 2}.get(learner, 1)

    def test_its_metrics_and_facts_are_read(self, learner: str) -> None:
        run = open_run(RUNS / learner)
        assert read_metrics(run)["images"] > 0
        assert run.environment()["metrics_of"] == "test"
        chosen = {"vae": "5 good images of train", "yolo-world": None}.get(learner, "the val subset")
        assert run.environment().get("best_chosen_on") == chosen
        assert len(run.log_rows()) == (60 if learner == "yolo-world" else 2)

    def test_its_figures_of_classes_have_todays_names(self, learner: str) -> None:
        found = read_metrics(open_run(RUNS / learner))
        written = json.loads((RUNS / learner / "metrics.json").read_text())
        of_classes = [name for name in found if name.endswith(("fabric_interior", "split_teeth", "good"))]
        assert len(of_classes) == {"classifier": 9, "longtail": 9, "vae": 0, "sam": 18, "yolo-world": 4}[learner]
        assert all("_class_" in name for name in of_classes)
        assert all(value == written.get(name, value) for name, value in found.items())
        if learner != "vae":  # whose rate of defects that it found became that of those that escape
            assert sorted(map(str, found.values())) == sorted(map(str, written.values()))

    def test_it_is_compared_with_itself(self, learner: str) -> None:
        found = compare_runs([RUNS / learner, RUNS / "classifier"])
        assert found.runs[0].metrics == read_metrics(open_run(RUNS / learner))

    def test_an_interrupted_one_is_gone_on_with_in_todays_form(self, learner: str, tmp_path: Path) -> None:
        copy = tmp_path / "run"
        shutil.copytree(RUNS / learner, copy)
        facts = json.loads((copy / "environment.json").read_text())
        (copy / "environment.json").write_text(json.dumps({**facts, "split_sha256": split_sha256({})}))
        config, before = config_of(open_run(copy)), snapshot(copy)
        told: dict[str, Any] = {"subsets": {}, "data": tmp_path, "resume": True}
        with pytest.raises(ToolkitError, match=r"was begun with other settings \(lr\)"):
            start_run(copy, learner, config.model_copy(update={"lr": 0.5}), **told)
        start_run(copy, learner, config, **told)
        assert snapshot(copy) == before  # it is finished
        (copy / "metrics.json").unlink()
        assert config_of(start_run(copy, learner, config, **told)) == config
        assert (copy / "config.yaml").read_text() == dump_config(config)
        facts = json.loads((copy / "environment.json").read_text())
        assert (facts["schema"], facts["metrics_of"]) == (3, "test")


def test_a_class_that_was_called_like_a_figure_gets_its_own_back(tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(RUNS / "yolo-world", copy)
    for name, told in (
        ("environment.json", {"phrases": {"95": "a dent", "95_95": "a speck"}}),
        ("metrics.json", {"map50": 0.5, "map50_95": 0.25, "map50_95_95": 0.75, "map50_95_95_95": 0.125}),
    ):
        (copy / name).write_text(json.dumps(json.loads((RUNS / "yolo-world" / name).read_text()) | told))
    found = read_metrics(open_run(copy))
    assert "map50_95" not in found  # the class's figure stood in its place
    told = {name: found[name] for name in found if name.startswith("map50") and "t" not in name}
    assert told == {"map50": 0.5, "map50_class_95": 0.25, "map50_class_95_95": 0.75, "map50_95_class_95_95": 0.125}


def test_runs_of_several_learners_are_compared() -> None:
    found = compare_runs([RUNS / "classifier", RUNS / "longtail"])
    assert found.runs[1].p == 1.0
    assert {"split.strategy", "split.file"} <= found.runs[0].settings.keys()


def test_a_checkpoint_gives_the_figures_that_it_gave() -> None:
    run = open_run(RUNS / "vae")
    found = find_learner("vae").evaluate(run, OLD / "source")
    told = {name: value for name, value in read_metrics(run).items() if name not in ("seconds", "split_sha256")}
    assert (told["false_reject"], told["escape"]) == pytest.approx((0.6667, 0.8333), abs=1e-4)
    assert {name: found[name] for name in told} == pytest.approx(told, rel=1e-4)


@pytest.mark.parametrize(("schema", "said"), [(4, "4"), (99, "99"), ("2a", "2a")])
def test_a_run_of_a_newer_version_is_refused(schema: object, said: str, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(RUNS / "classifier", copy)
    facts = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps({**facts, "schema": schema}))
    with pytest.raises(ToolkitError, match=rf"made by a newer version \(its schema is {said}, .*; update defectkit"):
        open_run(copy)


def test_a_run_of_today_must_have_todays_words(tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(RUNS / "vae", copy)
    facts = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps({**facts, "schema": 3}))
    with pytest.raises(ToolkitError) as caught:
        config_of(open_run(copy))
    for line in (
        "halvings is called num_downsamples now; write num_downsamples: 1",
        "percentile is called max_false_reject now; write max_false_reject: auto",
    ):
        assert f"{copy}/config.yaml: {line}" in str(caught.value)


@pytest.mark.parametrize(("percentile", "rate"), [(99.0, "auto"), (100, "auto"), (90, 0.1), (97.5, 0.025)])
def test_a_run_of_schema_2_had_a_percentile(percentile: float, rate: object, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(RUNS / "vae", copy)
    facts = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps({**facts, "schema": 2}))
    (copy / "config.yaml").write_text(f"lr: 0.5\npercentile: {percentile}\n")
    assert config_of(open_run(copy)).max_false_reject == rate
