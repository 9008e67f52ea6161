"""Attempts of learners whose figure is no accuracy: compared on images drawn anew, refused where they cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from finetune.engine.learner import Evidence
from finetune.engine.remarks.telling import listening
from finetune.experiments.analysis import Analysis, analyse_attempts
from finetune.experiments.attempts import Outcome, Planned, check_comparable, plan_attempts, run_attempts
from finetune.experiments.attempts_file import Attempt, Attempts, read_attempts
from finetune.experiments.report import attempts_json, attempts_markdown, attempts_rows, write_report
from finetune.learners import LEARNERS, find_config, find_learner
from finetune.metrics.evidence import Means, Ranking
from finetune.vae.config import VaeConfig
from tests.commands import make_dataset
from tests.finetune.runs import TINY, make_data
from toolkit.errors import ToolkitError

FIGURES = {"image_auroc": "image AUROC", "iou_box": "IoU", "map50": "mAP50"}


def ranking(apart: float, seed: int, number: int = 60) -> Ranking:
    """Scores of as many good as defective images, which are so far apart on average, in standard deviations."""
    rng = np.random.default_rng(seed)
    defective = np.arange(number) % 2 == 0
    return Ranking(tuple(f"k{i}" for i in range(number)), rng.normal(size=number) + apart * defective, defective)


def judged(evidence: dict[str, list[Evidence]], fold: int | None = None) -> Analysis:
    """Name -> what each seed's run is made of."""
    attempts, outcomes = [], []
    for number, (name, seeds) in enumerate(evidence.items()):
        config = VaeConfig(lr=0.001 * (number + 1))
        attempts.append(Attempt(name, config, {"lr": config.lr}, "vae"))
        for seed, one in enumerate(seeds):
            outcomes.append(Outcome(Planned(name, seed, None, config, Path("x"), "vae"), one, 1.0, 2))
            if fold is not None:
                outcomes.append(Outcome(Planned(name, seed, fold, config, Path("x"), "vae"), one, 1.0, 2))
    return analyse_attempts(attempts, outcomes, "image_auroc", "image AUROC")


class TestJudging:
    def test_a_large_difference_is_one_and_a_small_one_is_not(self) -> None:
        found = judged({"base": [ranking(0.3, 0)], "new": [ranking(3, 1)], "like": [ranking(0.3, 2)]})
        assert [one.main.verdict for one in found.attempts] == ["baseline", "better", "not distinguishable"]
        assert "new shows the highest image AUROC" in found.conclusion
        assert found.attempts[0].main.value == pytest.approx(ranking(0.3, 0).measured(np.ones((1, 60)))[0])

    def test_the_same_scores_are_not_distinguishable(self) -> None:
        found = judged({"base": [ranking(1, 0)], "same": [ranking(1, 0)]})
        assert (found.attempts[1].main.p, found.attempts[1].main.difference) == (1.0, 0.0)

    def test_its_scale_does_not_matter(self) -> None:
        """Scores of two models are of different units: only the order within a run counts."""
        scaled = ranking(1, 0)
        found = judged(
            {"base": [ranking(1, 0)], "other": [Ranking(scaled.keys, 1e6 * scaled.scores, scaled.defective)]}
        )
        assert found.attempts[1].main.difference == 0.0

    def test_intervals_hold_what_they_say(self) -> None:
        """Of 40 products with an area of .76 (one standard deviation apart) about 95 % of the intervals hold it."""
        held = 0
        for seed in range(40):
            score = judged({"base": [ranking(1, seed)]}).attempts[0].main
            held += score.low <= 0.7602 <= score.high
        assert held >= 33  # chance of fewer at 95 %: below .01

    def test_seeds_are_no_more_images_and_tell_how_they_differ(self) -> None:
        found = judged({"base": [ranking(1, 0)] * 4, "new": [ranking(1, 0), ranking(1, 5)] * 2}).attempts
        assert (found[0].main.images, found[0].main.seeds, found[0].main.spread) == (60, 4, 0.0)
        assert found[1].main.spread > 0
        one = judged({"base": [ranking(1, 0)]}).attempts[0].main
        assert (one.low, one.high) == (found[0].main.low, found[0].main.high)

    def test_effects_are_differences_of_figures(self) -> None:
        found = judged({"base": [ranking(0.2, 0)], "new": [ranking(3, 1)]})
        (effect,) = found.effects
        assert effect.difference == pytest.approx(found.attempts[1].main.difference)
        assert 0 < effect.low < effect.difference < effect.high

    def test_luck_is_above_the_mean_of_equals(self) -> None:
        found = judged({name: [ranking(1, seed)] for seed, name in enumerate("abcd")})
        mean = np.mean([one.main.value for one in found.attempts])
        assert mean < found.luck < mean + 0.2

    def test_other_images_are_refused(self) -> None:
        with pytest.raises(ToolkitError, match="was tested on other images than the baseline"):
            judged({"base": [ranking(1, 0)], "new": [ranking(1, 0, 58)]})
        empty = Means(("a",), np.zeros(1), np.zeros(1))
        with pytest.raises(ToolkitError, match="has no figure on its test images"):
            judged({"base": [empty]})

    def test_the_report_names_the_figure(self, tmp_path: Path) -> None:
        found = judged({"base": [ranking(1, 0)] * 2, "new": [ranking(2, 1)] * 2})
        every = tuple(Attempt(one.name, VaeConfig(), one.changes, "vae") for one in found.attempts)
        told = Attempts(Path("f"), "vae", Path("d"), every, 0, (0, 1))
        text = attempts_markdown(told, found)
        assert "The figure is image AUROC" in text
        assert "trained with 2 seeds on the fixed split" in text
        assert "accuracy" not in text
        assert "Wilson" not in text
        header, rows = attempts_rows(told, found)
        assert header[-5:] == ["fixed split", "over seeds", "points", "p (Holm)", "verdict"]
        assert len(rows[0]) == len(header)
        written = json.loads(json.dumps(attempts_json(found), allow_nan=False))
        assert written["figure"] == "image_auroc"
        assert 0 < written["attempts"][0]["fixed"]["image_auroc"] < 1
        assert write_report(told, found, tmp_path)[1].read_bytes().startswith(b"\x89PNG")


def write(folder: Path, **told: Any) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "attempts.yaml"
    file.write_text(yaml.safe_dump({"data": "x", **told}, sort_keys=False))
    return file


class TestPlan:
    def test_without_folds_seeds_repeat_the_fixed_split(self, tmp_path: Path) -> None:
        told = read_attempts(write(tmp_path, learner="vae", seeds=[3, 4], attempts={"a": {}, "b": {"lr": 0.1}}))
        assert told.folds == 0
        planned = plan_attempts(told, tmp_path / "out")
        assert [(one.attempt, one.seed, one.config.seed, one.fold) for one in planned] == [
            ("a", 3, 3, None),
            ("b", 3, 3, None),
            ("a", 4, 4, None),
            ("b", 4, 4, None),
        ]
        assert planned[0].out == tmp_path / "out/seeds/a/seed3"
        once = read_attempts(write(tmp_path, learner="vae", attempts={"a": {}}))
        assert [(one.out, one.seed) for one in plan_attempts(once, tmp_path / "out")] == [
            (tmp_path / "out/fixed/a", None)
        ]

    def test_folds_are_the_default_of_those_that_learn_from_defects(self, tmp_path: Path) -> None:
        for learner in LEARNERS:
            told = read_attempts(
                write(tmp_path, learner=learner, attempts={"a": {"model": "tiny"} if learner == "sam" else {}})
            )
            good_alone = find_config(learner).learns == "good"
            assert (told.folds, told.seeds) == ((0, ()) if good_alone else (5, (0, 1, 2, 3, 4)))

    def test_folds_of_good_images_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            ToolkitError, match=r"a: learns from good images alone, and folds .*; write folds: 0, and seeds"
        ):
            read_attempts(write(tmp_path, learner="vae", folds=5, attempts={"a": {}}))

    def test_runs_of_sam_share_their_embeddings(self, tmp_path: Path) -> None:
        given = {"a": {"model": "tiny"}, "b": {"model": "tiny", "cache": "none"}}
        planned = plan_attempts(
            read_attempts(write(tmp_path, learner="sam", folds=0, attempts=given)), tmp_path / "out"
        )
        assert [getattr(one.config, "cache", None) for one in planned] == [str(tmp_path / "out/cache"), "none"]

    @pytest.mark.parametrize("learner", ["yolo", "yolo-world", "classifier"])
    def test_patience_that_folds_would_end_at_their_first_run_is_refused(self, learner: str, tmp_path: Path) -> None:
        patient = {"learner": learner, "attempts": {"a": {"patience": 3}}}
        for folds in (None, 2):
            with pytest.raises(
                ToolkitError, match=r"a: has patience 3, and folds have no val .*; write patience: 0, or"
            ):
                read_attempts(write(tmp_path, **patient, **({} if folds is None else {"folds": folds})))
        assert read_attempts(write(tmp_path, **patient, folds=0)).folds == 0

    def test_an_attempt_may_name_its_learner(self, tmp_path: Path) -> None:
        given = {"plain": {}, "tail": {"learner": "longtail"}}
        told = read_attempts(write(tmp_path, attempts=given))
        assert [one.learner for one in told.attempts] == ["classifier", "longtail"]
        assert told.attempts[1].changes["learner"] == "longtail"
        assert {"method", "mode"} & told.attempts[1].changes.keys() == set()  # settings that one of them has not
        with pytest.raises(ToolkitError, match=r"clasifier: is no learner; did you mean classifier\?"):
            read_attempts(write(tmp_path, attempts={"a": {}, "b": {"learner": "clasifier"}}))


class TestRefusedAtTheStart:
    """Before anything is trained, and nothing is left behind."""

    @pytest.mark.parametrize(
        ("told", "fault"),
        [
            (
                {
                    "learner": "vae",
                    "attempts": {"a": {}, "b": {"learner": "classifier"}},
                },
                r"b: classifier is judged by accuracy, and a \(vae\) by image AUROC; put attempts with one figure",
            ),
            (
                {"folds": 0, "settings": {"split": {"val": 0, "test": 0}}, "attempts": {"a": {}}},
                "has no images in the test subset; attempts are compared on them",
            ),
            ({"folds": 0, "attempts": {"a": {"categories": "hazelnut"}}}, "has no category 'hazelnut'"),
        ],
    )
    def test_what_cannot_be_compared(self, told: dict[str, Any], fault: str, tmp_path: Path) -> None:
        attempts = read_attempts(write(tmp_path / "file", **told), make_dataset(tmp_path / "data"))
        with pytest.raises(ToolkitError, match=fault):
            run_attempts(attempts, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(("gone", "lacks"), [("good", "good images"), (None, "images with defects")])
    def test_test_images_without_a_figure(self, gone: str | None, lacks: str, tmp_path: Path) -> None:
        data = make_dataset(tmp_path / "data")
        if gone == "good":
            shutil.rmtree(data / "part/test/good")
        else:
            for name in ("dent", "scratch"):
                shutil.rmtree(data / "part/test" / name)
                shutil.rmtree(data / "part/ground_truth" / name)
        attempts = read_attempts(write(tmp_path / "file", learner="vae", attempts={"a": {}}), data)
        with pytest.raises(ToolkitError, match=f"has no {lacks} in the test subset"):
            check_comparable(attempts, {"vae": find_learner("vae")})

    @pytest.mark.parametrize("learner", list(LEARNERS))
    def test_every_learner_says_its_figure(self, learner: str) -> None:
        found = find_learner(learner)
        assert found.figure is not None
        assert found.open is not None


def test_attempts_of_an_anomaly_detector_from_end_to_end(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    settings = {**TINY["vae"], "epochs": 1}
    file = write(tmp_path, learner="vae", settings=settings, attempts={"small": {}, "large": {"latent": 8}})
    lines: list[str] = []
    attempts = read_attempts(file, data)
    with listening(lambda kind, text: lines.append(f"{kind}: {text}")):
        outcomes = run_attempts(attempts, tmp_path / "out")
    told = [line.partition(":")[2].strip() for line in lines if line.startswith("progress")]
    assert [line.split(",")[0].split(": ")[0] for line in told] == [
        "run 1 of 2",
        "epoch 1 of 1",
        "run 2 of 2",
        "epoch 1 of 1",
    ]
    found = analyse_attempts(attempts.attempts, outcomes, "image_auroc", "image AUROC")
    figure = json.loads((tmp_path / "out/fixed/small/metrics.json").read_text())["image_auroc"]
    assert found.attempts[0].main.value == pytest.approx(figure)
