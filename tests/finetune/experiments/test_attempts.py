"""Attempts: which runs they need, what is made anew, and what may be said of the outcome."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from finetune.engine.datasets import read_rgb
from finetune.engine.splits import SplitConfig
from finetune.experiments.analysis import analyse_attempts
from finetune.experiments.attempts import Outcome, Planned, plan_attempts, read_outcomes, run_attempts
from finetune.experiments.attempts_file import Attempt, Attempts, read_attempts
from finetune.experiments.comparison import compare_runs, draw_comparison
from finetune.experiments.report import attempts_json, attempts_markdown, attempts_rows, write_report
from finetune.metrics.evidence import RightOrWrong
from finetune.metrics.significance import mcnemar_exact
from tests.commands import ROOT, snapshot
from tests.finetune.classifier.classifying import TINY, config
from toolkit import load_dataset, split_dataset, write_product, write_split
from toolkit.dataset.splits import read_split
from toolkit.errors import ToolkitError

COURSEWORK = ROOT / "examples/attempts/coursework.yaml"
SMALL = {"resnet18": "squeezenet1_1", "vgg19": "squeezenet1_0", "300": "2", "50": "1", "16": "64", "224": "32"}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"), image_size=64, per_class=10, train_good=4)


@pytest.fixture(scope="module")
def attempts(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Attempts:
    """Two attempts of an epoch each, on the fixed split and on two folds."""
    told = {"settings": TINY | {"epochs": 1}, "attempts": {"base": {}, "probe": {"mode": "linear-probe"}}}
    return read_attempts(write(tmp_path_factory.mktemp("file"), data="x", folds=2, seeds=[3], **told), product)


@pytest.fixture(scope="module")
def made(
    attempts: Attempts, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Outcome], list[tuple[int, int]]]:
    """Their runs, what came of them, and the progress that was told."""
    folder, calls = tmp_path_factory.mktemp("made") / "out", list[tuple[int, int]]()
    return folder, run_attempts(attempts, folder, lambda *numbers: calls.append(numbers)), calls


def write(folder: Path, **told: Any) -> Path:
    file = folder / "attempts.yaml"
    file.write_text(yaml.safe_dump(told, sort_keys=False))
    return file


def small_coursework(folder: Path, data: Path, **changes: Any) -> Attempts:
    """The coursework's five attempts, at sizes that train in a second."""
    text = COURSEWORK.read_text()
    for large, small in SMALL.items():
        text = text.replace(f": {large}", f": {small}")
    told = yaml.safe_load(text) | changes
    told["attempts"] = dict(list(told["attempts"].items())[:5])
    return read_attempts(write(folder, **told), data, {"weights": "none", "device": "cpu", "plots": False})


def outcomes(rights: dict[str, list[list[bool]]]) -> tuple[list[Attempt], list[Outcome]]:
    """Attempts whose images were told right as given: name -> for each seed a list of images."""
    attempts, found = [], []
    for number, (name, seeds) in enumerate(rights.items()):
        told = config(lr=0.001 * (number + 1))
        attempts.append(Attempt(name, told, {"lr": told.lr}))
        for seed, right in enumerate(seeds):
            correct = {f"k{index}": one for index, one in enumerate(right)}
            for fold in (None, 0) if seed == 0 else (0,):
                found.append(Outcome(Planned(name, seed, fold, told, Path("x")), RightOrWrong(correct), 1.0, 2))
    return attempts, found


class TestTheCoursework:
    """Five rows on 16 test images, and on folds."""

    def test_the_example_holds_its_five_rows(self):
        found = read_attempts(COURSEWORK)
        told = [(a.config.epochs, a.config.backbone, a.config.lr, a.config.optimizer) for a in found.attempts[:5]]
        assert told == [
            (50, "resnet18", 0.001, "adam"),
            (300, "resnet18", 0.001, "adam"),
            (300, "vgg19", 0.001, "adam"),
            (300, "resnet18", 0.005, "adam"),
            (300, "resnet18", 0.001, "sgd"),
        ]
        assert {(a.config.image_size, a.config.weights) for a in found.attempts[:5]} == {(224, "none")}
        assert (found.folds, found.seeds) == (5, (0, 1, 2, 3, 4))
        split = found.attempts[0].config.split
        assert (split.strategy, split.per_class, split.test_per_class) == ("uniform", 10, 2)

    def test_pretraining_stands_beside_noise_and_needs_no_network(self):
        told = {
            a.name: (a.config.backbone, a.config.weights, a.config.mode) for a in read_attempts(COURSEWORK).attempts
        }
        assert dict(list(told.items())[5:]) == {
            "Lite0 from noise": ("efficientnet_lite0", "none", "finetune"),
            "Lite0, pretrained": ("efficientnet_lite0", "default", "finetune"),
            "Lite0, pretrained, frozen": ("efficientnet_lite0", "default", "linear-probe"),
        }

    def test_it_runs_from_end_to_end(self, product, tmp_path, monkeypatch):
        monkeypatch.setattr("finetune.engine.datasets.read_rgb", cache(read_rgb))  # all runs read the same
        attempts = small_coursework(tmp_path, product, folds=2, seeds=[0])
        found = run_attempts(attempts, tmp_path / "out")
        judgement = analyse_attempts(attempts.attempts, found)
        files = write_report(attempts, judgement, tmp_path / "out")
        assert [file.name for file in files] == ["summary.md", "attempts.png", "attempts.json"]
        assert len(found) == 5 * (1 + 2)
        assert [one.fixed.images for one in judgement.attempts] == [16] * 5
        assert [one.folds.images for one in judgement.attempts if one.folds] == [80] * 5
        text = files[0].read_text()
        assert "not distinguishable" in text
        assert "One image of the fixed split's test set is worth 6.25 points." in text
        assert {effect.factor for effect in judgement.effects} == {"epochs", "backbone", "lr", "optimizer"}
        told = json.loads(files[2].read_text())
        assert [one["epochs"] for one in told["attempts"]] == [1, 2, 2, 2, 2]

    def test_it_runs_on_real_screws(self, mvtec_root, tmp_path, monkeypatch):
        monkeypatch.setattr("finetune.engine.datasets.read_rgb", cache(read_rgb))  # all runs read the same
        attempts = small_coursework(tmp_path, mvtec_root / "screw", folds=0, seeds=[0])
        found = run_attempts(attempts, tmp_path / "out")
        judgement = analyse_attempts(attempts.attempts, found)
        assert [one.main.images for one in judgement.attempts] == [12] * 5
        assert "not distinguishable" in attempts_markdown(attempts, judgement)


class TestOnlyWhatIsMissing:
    """Runs are made once."""

    def test_finished_runs_are_left_alone_and_missing_ones_made(self, attempts, made):
        out, first, calls = made
        assert calls == [(number, 6) for number in range(7)]
        before = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
        gone, broken = out / "folds/base/seed3-fold1", out / "fixed/probe"
        shutil.rmtree(gone)
        (broken / "metrics.json").unlink()
        second = run_attempts(attempts, out)
        changed = {path.parent for path in before if path.stat().st_mtime_ns != before[path]}
        assert changed == {gone, broken}
        assert [one.evidence for one in second] == [one.evidence for one in first]

    def test_runs_of_other_settings_are_not_taken_for_these(self, made, product, tmp_path):
        out = made[0]
        held = snapshot(out)
        told = {"settings": TINY | {"epochs": 1, "lr": 0.5}, "attempts": {"base": {}}}
        other = read_attempts(write(tmp_path, data="x", folds=0, **told), product)
        with pytest.raises(ToolkitError, match="fixed/base: was made with other settings; remove it"):
            run_attempts(other, out)
        assert snapshot(out) == held

    def test_a_folder_of_something_else_is_refused(self, attempts, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home/letter.txt").write_text("dear")
        with pytest.raises(ToolkitError, match="holds something else than attempts"):
            run_attempts(attempts, tmp_path / "home")

    def test_what_was_not_finished_has_no_outcome(self, attempts, tmp_path):
        with pytest.raises(ToolkitError, match="no such run"):
            read_outcomes(plan_attempts(attempts, tmp_path / "out"))


def test_the_folds_test_each_image_of_the_split_once_for_each_seed(product, tmp_path):
    attempts = small_coursework(tmp_path, product, folds=5, seeds=[0, 7])
    planned = plan_attempts(attempts, tmp_path / "out")
    assert len(planned) == 5 * (1 + 5 * 2)
    data = load_dataset(product)
    tested: dict[int | None, list[str]] = {0: [], 7: []}
    for one in planned:
        if one.fold is not None and one.attempt == "baseline":
            subsets = read_split(one.config.split.file, data)
            assert len(subsets) == 80
            assert one.config.seed == one.seed
            held = [key for key, subset in subsets.items() if subset == "test"]
            assert len(held) == 16
            assert {key.split("/")[2] for key in held} == {sample.defect for sample in data}
            tested[one.seed] += held
    assert len(set(tested[0])) == len(tested[0]) == 80
    assert sorted(tested[0]) == sorted(tested[7])


def test_the_folds_keep_together_what_the_split_does(product, tmp_path):
    data = load_dataset(product)
    by_number = tmp_path / "by-number.csv"  # photos of one number are of one part
    write_split(split_dataset(data, "stratified", group="{part}"), by_number)
    attempts = small_coursework(tmp_path, product, folds=3, seeds=[0])
    split = {"split": SplitConfig(file=by_number)}
    every = tuple(replace(one, config=one.config.model_copy(update=split)) for one in attempts.attempts)
    attempts = replace(attempts, attempts=every)
    for one in plan_attempts(attempts, tmp_path / "out"):
        if one.fold is not None:
            subsets = read_split(one.config.split.file, data)
            parts = {(key.rpartition("/")[2], subset) for key, subset in subsets.items()}
            assert len(parts) == len({part for part, _ in parts})


class TestTheFile:
    """All faults at once, each with a way out."""

    @pytest.mark.parametrize(
        ("told", "fault"),
        [
            ({"atempts": {}}, r"unknown key 'atempts'; did you mean attempts\?"),
            ({"attempts": {"a": {"leraning": 1}}}, r"a: unknown key 'leraning'"),
            ({"attempts": {"a": {"lr": -1}}}, "lr: "),
            ({"attempts": {"a": {"backbone": "vgg91"}}}, r"there is no such backbone; did you mean vgg"),
            ({"attempts": {"a": {}, "b/c": {}}}, "'b/c' cannot name an attempt"),
            ({"attempts": {"a": {}, "..": {}}}, "cannot name an attempt"),
            ({"attempts": {"a": {}}, "baseline": "b"}, "has no attempt named 'b'; use one of a"),
            ({"attempts": {"a": {}}, "learner": "clasifier"}, r"is no learner; did you mean classifier\?"),
            ({"attempts": {"a": {}}, "seeds": []}, "seeds: "),
            ({"attempts": {}}, "attempts: "),
            ({"attempts": {"a": {"devices": 2}}}, "a: asks for several devices"),
            ({"attempts": {"a": {}, "b": {"split": {"seed": 1}}}}, "b: has a split of its own; put the split into"),
        ],
    )
    def test_faults_are_told(self, tmp_path, told, fault):
        file = write(tmp_path, **{"data": "x", **told})
        with pytest.raises(ToolkitError, match=fault):
            read_attempts(file)

    def test_all_at_once(self, tmp_path):
        file = write(tmp_path, data="x", attempts={"a": {"lr": -1}, "b": {"epoch": 1}})
        with pytest.raises(ToolkitError) as error:
            read_attempts(file)
        assert len(error.value.problems) == 2

    @pytest.mark.parametrize("text", ["[", "a", "", "- 1"])
    def test_what_is_no_mapping(self, tmp_path, text):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ToolkitError, match=r"a\.yaml: "):
            read_attempts(tmp_path / "a.yaml")

    def test_data_lies_beside_the_file_and_groups_are_merged(self, tmp_path):
        told = {"settings": {"augment": {"rotation": 9}}, "attempts": {"a": {}, "b": {"augment": {"colour": 0.5}}}}
        found = read_attempts(write(tmp_path, data="zipper", **told))
        assert found.data == tmp_path / "zipper"
        assert [one.config.augment.rotation for one in found.attempts] == [9, 9]
        assert [dict(one.changes) for one in found.attempts] == [{"augment.colour": 0.1}, {"augment.colour": 0.5}]


class TestJudging:
    """More than chance, or not."""

    def test_a_large_difference_is_one(self):
        judged = analyse_attempts(*outcomes({"base": [[False] * 30 + [True] * 10], "new": [[True] * 40]}))
        assert judged.best == "new"
        assert [one.main.verdict for one in judged.attempts] == ["baseline", "better"]
        assert "highest accuracy, +75.0 points against base; that is more than chance" in judged.conclusion

    def test_a_small_one_is_not(self):
        first, second = [True] * 11 + [False] * 5, [True] * 12 + [False] * 4
        judged = analyse_attempts(*outcomes({"base": [first], "new": [second]}))
        assert judged.attempts[1].main.verdict == "not distinguishable"
        assert judged.attempts[1].main.p == mcnemar_exact(first, second)
        assert "but the two are not distinguishable on 16 images (paired test, p = 1" in judged.conclusion

    def test_a_worse_one_is_told(self):
        judged = analyse_attempts(*outcomes({"base": [[True] * 40], "new": [[False] * 20 + [True] * 20]}))
        assert "No attempt does better than base. Distinguishable from the baseline: new (worse)." in judged.conclusion

    def test_many_comparisons_make_each_count_less(self):
        better = [True] * 36 + [False] * 4
        worse = [True] * 29 + [False] * 11
        alone = analyse_attempts(*outcomes({"base": [worse], "new": [better]}))
        crowd = analyse_attempts(*outcomes({"base": [worse], "new": [better], **{f"a{i}": [worse] for i in range(9)}}))
        assert alone.attempts[1].main.verdict == "better"
        assert crowd.attempts[1].main.verdict == "not distinguishable"

    def test_more_seeds_are_no_more_images(self):
        right = [True] * 11 + [False] * 5
        one, ten = (analyse_attempts(*outcomes({"base": [right] * seeds})).attempts[0].main for seeds in (1, 10))
        assert (one.low, one.high) == (ten.low, ten.high)
        assert (ten.images, ten.seeds, ten.spread) == (16, 10, 0.0)

    def test_luck_is_what_the_best_of_equals_would_show(self):
        right = [True] * 10 + [False] * 10
        judged = analyse_attempts(*outcomes({name: [right] for name in "abcd"}))
        draws = np.random.default_rng(0).binomial(20, 0.5, (100_000, 4)).max(axis=1).mean() / 20
        assert judged.luck == pytest.approx(draws, abs=0.002)

    def test_main_effects_hold_the_other_settings(self):
        """Two settings that add up: 100 images, +10 and +20 of them."""
        grid = {"base": (1, "a", 40), "long": (2, "a", 50), "other": (1, "b", 60), "both": (2, "b", 70)}
        attempts, found = [], []
        for name, (epochs, kind, right) in grid.items():
            attempts.append(Attempt(name, config(), {"epochs": epochs, "kind": kind}))
            correct = {f"k{index}": index < right for index in range(100)}
            found.append(Outcome(Planned(name, None, None, config(), Path("x")), RightOrWrong(correct), 1.0, 1))
        effects = analyse_attempts(attempts, found).effects
        told = {(one.factor, one.base, one.level): one.difference for one in effects}
        assert told == {("epochs", 1, 2): pytest.approx(0.1), ("kind", "a", "b"): pytest.approx(0.2)}
        assert all(one.low < one.difference < one.high for one in effects)
        confounded = analyse_attempts([attempts[0], attempts[3]], [found[0], found[3]]).effects
        assert [one.difference for one in confounded] == [None, None]

    def test_the_table_says_what_differs(self, tmp_path):
        attempts, found = outcomes({"a|b <i>": [[True, False]] * 2, "c_*d*": [[True, True]] * 2})
        told = Attempts(Path("f"), "classifier", Path("d"), tuple(attempts), 1, (0, 1))
        judged = analyse_attempts(attempts, found)
        header, rows = attempts_rows(told, judged)
        assert header[:5] == ["attempt", "epochs", "lr", "optimizer", "seconds"]
        assert rows[1][:4] == ["c_*d*", "2", "0.002", "adam"]
        text = attempts_markdown(told, judged)
        assert r"| a\|b &lt;i&gt; |" in text
        assert json.loads(json.dumps(attempts_json(judged), allow_nan=False))["best"] == "c_*d*"


@pytest.fixture(scope="module")
def out(made) -> Path:
    return made[0] / "fixed"


class TestComparing:
    """Runs side by side."""

    def test_the_table_has_what_differs_and_a_paired_test(self, out):
        found = compare_runs([out / "base", out / "probe"])
        header, rows = found.table()
        rates = ["good AUROC", "false reject", "escape"]
        assert header == ["run", "learner", "mode", "accuracy", "balanced accuracy", *rates, "p (McNemar)", "seconds"]
        assert [row[:3] for row in rows] == [
            ["base", "classifier", "finetune"],
            ["probe", "classifier", "linear-probe"],
        ]
        assert found.runs[0].p is None
        assert 0 < (found.runs[1].p or 0) <= 1
        assert found.notes == ()
        assert draw_comparison(found).startswith(b"\x89PNG")
        assert json.loads(json.dumps(found.as_json()))["runs"][1]["p_mcnemar"] == found.runs[1].p

    def test_names_are_as_long_as_they_have_to_be(self, out, tmp_path):
        shutil.copytree(out / "base", tmp_path / "base")
        found = compare_runs([out / "base", tmp_path / "base"])
        assert [run.name for run in found.runs] == ["fixed/base", f"{tmp_path.name}/base"]

    def test_another_split_is_noted(self, out, tmp_path):
        shutil.copytree(out / "base", tmp_path / "other")
        file = tmp_path / "other/metrics.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "split_sha256": "0"}))
        assert "not made on the same split" in compare_runs([out / "base", tmp_path / "other"]).notes[0]

    def test_what_is_no_finished_run_is_refused(self, out, tmp_path):
        shutil.copytree(out / "base", tmp_path / "other")
        (tmp_path / "other/metrics.json").unlink()
        with pytest.raises(ToolkitError, match="did not go to its end"):
            compare_runs([tmp_path / "other"])
        with pytest.raises(ToolkitError, match="there are no runs"):
            compare_runs([])
