"""Runs, masks and copies as witnesses against labels: one list, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finetune.engine.prediction import Prediction
from finetune.suspects import ranking
from finetune.suspects.ranking import find_suspects
from tests.commands import HEIGHT, WIDTH, make_dataset, picture, save
from tests.finetune.suspects.made_runs import classifier_run, detector_run, finder_run, segmenter_run
from toolkit import load_dataset
from toolkit.errors import ToolkitError

DENT, SCRATCH = "part/test/dent/000", "part/test/scratch/001"
DEFECTS = [f"part/test/{name}/{n:03}" for name, count in (("dent", 2), ("scratch", 3)) for n in range(count)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def test_a_classifier_that_says_otherwise(data: Path, tmp_path: Path) -> None:
    run = classifier_run(tmp_path / "run", data, {DENT: "good"})
    found = find_suspects(data, run, copies=())
    assert len(found.ranked) == 9
    assert [(one.key, one.label, one.suggested) for one in found.doubtful] == [(DENT, "dent", "good")]
    assert found.doubtful[0].why == "a classifier that never saw it says good 0.90, dent 0.05"
    assert {one.why for one in found.ranked if not one.doubtful} == {""}
    assert found.runs[0]["errors_expected"] == 1
    assert found.notes == ()
    assert find_suspects(data, [run], copies=()) == found


def test_without_out_of_fold_only_test_images_are_asked_about(data: Path, tmp_path: Path) -> None:
    run = classifier_run(tmp_path / "run", data, {DENT: "good"}, name="predictions.csv", trained=("dent/000", "001"))
    found = find_suspects(data, run, copies=())
    assert DENT not in {one.key for one in found.ranked}
    assert "says nothing of 5 image(s) that are none of its test images" in found.notes[0]
    assert "--set out_of_fold=5" in found.notes[0]


def test_an_image_that_is_another_file_by_now_is_left_out(data: Path, tmp_path: Path) -> None:
    run = classifier_run(tmp_path / "run", data, {DENT: "good", SCRATCH: "dent"})
    save(data / f"{DENT}.png", picture(99))
    save(data / "part/test/good/777.png", picture(98))
    found = find_suspects(data, run, copies=())
    assert [one.key for one in found.doubtful] == [SCRATCH]
    assert [note.partition(": ")[2] for note in found.notes] == [
        "1 image(s) are other files than it saw, and it is not asked of them",
        "1 image(s) are none that it knows of, and it is not asked of them",
    ]


def load_detector(scores: dict[str, float], place: tuple[int, int] | None = None) -> Callable[..., object]:
    """A model whose maps are hot at one place."""

    def predict(path: Path) -> Prediction:
        heat = np.zeros((HEIGHT, WIDTH), np.float32)
        if place is not None:
            heat[place[0] : place[0] + 5, place[1] : place[1] + 5] = 1
        key = f"part/{'/'.join(path.parts[-3:])}".removesuffix(".png")
        return Prediction(path, WIDTH, HEIGHT, map=heat, score=scores.get(key, 5.0 if "good" not in key else 1.0))

    return lambda run: predict


def test_scores_of_images_that_were_not_trained_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = detector_run(tmp_path / "run", data, trained=("train/good/000", "train/good/001"))
    monkeypatch.setattr(ranking, "_loaded", load_detector({DENT: 0.5, "part/test/good/001": 6.0}))
    found = find_suspects(data, run, copies=())
    assert {one.key: one.suggested for one in found.doubtful} == {DENT: "good", "part/test/good/001": "good"}
    assert len(found.ranked) == 7
    assert "of 2 image(s) that it was trained on" in found.notes[0]


def test_a_mask_that_lies_beside_its_map(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = detector_run(tmp_path / "run", data)
    monkeypatch.setattr(ranking, "_loaded", load_detector({}, (9, 12)))
    first = find_suspects(data, run, copies=()).ranked[0]
    assert first.label == first.suggested != "good"
    assert first.why.startswith("its mask would fit the map of patchcore better ")
    assert first.score > 0.5


def test_objects_that_a_segmenter_cuts_out_otherwise(data: Path, tmp_path: Path) -> None:
    found = find_suspects(data, segmenter_run(tmp_path / "run", data, {SCRATCH: 0.1}), copies=())
    assert [one.key for one in found.doubtful] == [SCRATCH]
    assert found.doubtful[0].why == "sam cuts out a scratch otherwise in its own box: IoU 0.10, usually 0.90"


def test_a_segmenter_that_learnt_nothing_is_not_heard(data: Path, tmp_path: Path) -> None:
    keys = [sample.key for sample in load_dataset(data) if sample.masks]
    run = segmenter_run(tmp_path / "run", data, {key: 0.002 * number for number, key in enumerate(keys)})
    found = find_suspects(data, run, copies=())
    assert not found.doubtful
    assert any("too little to speak of labels" in note for note in found.notes)


def test_copies_with_other_labels(data: Path, tmp_path: Path) -> None:
    save(data / "part/test/good/777.png", picture(20))  # the pixels, and so the bytes, of the first dent
    found = find_suspects(data, classifier_run(tmp_path / "run", data, {}))
    assert {one.key: one.suggested for one in found.doubtful} == {DENT: "good", "part/test/good/777": "dent"}
    assert f"the same bytes as {DENT}, which is dent" in [one.why for one in found.doubtful]


def test_several_runs_are_one_list(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_loaded", load_detector({DENT: 0.5}))
    runs = [
        classifier_run(tmp_path / "one", data, {DENT: "good", SCRATCH: "dent"}),
        classifier_run(tmp_path / "two", data, {DENT: "good"}),
        detector_run(tmp_path / "three", data),
    ]
    found = find_suspects(data, runs, copies=())
    assert found.ranked[0].key == DENT
    assert found.ranked[0].why.startswith("patchcore scores it 0.5, above 0 % of those called good; a classifier")
    one = next(one for one in found.ranked if one.key == SCRATCH)
    assert 0.3 < one.score < 0.5  # the two classifiers are averaged


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("metrics.json", None, "has no metrics.json: it did not go to its end"),
        ("images.csv", None, "does not say which images it saw"),
        ("images.csv", "key,subset,sha256\nother,test,0\n", "was trained on images of other names"),
        ("images.csv", f"key,subset,sha256\n{DENT},test,0\n", "was trained on other images"),
        ("out_of_fold.csv", f"key,subset,p_good\n{DENT},test,1\n", "has no probabilities"),
        ("out_of_fold.csv", f"key,subset,p_good,p_dent,p_scratch\n{DENT},test,1,nan,0\n", "has a probability"),
    ],
)
def test_what_is_refused(data: Path, tmp_path: Path, file: str, text: str | None, told: str) -> None:
    run = classifier_run(tmp_path / "run", data, {})
    if text is None:
        (run / file).unlink()
    else:
        (run / file).write_text(text)
    with pytest.raises(ToolkitError, match=told):
        find_suspects(data, run, copies=())


def test_objects_that_a_detector_finds_and_nobody_labelled(data: Path, tmp_path: Path) -> None:
    # Each defect where it is labelled, one more in a good image, and a dent that is called a scratch.
    labels = {key: "scratch" if key == DENT else key.split("/")[2] for key in DEFECTS}
    found = [(key, label, [2, 3, 9, 6], 0.9) for key, label in labels.items()]
    found += [("part/test/good/000", "dent", [4, 4, 8, 8], 0.9), ("part/test/good/001", "dent", [4, 4, 8, 8], 0.01)]
    told = find_suspects(data, finder_run(tmp_path / "run", data, found), copies=())
    assert {one.key: one.suggested for one in told.doubtful} == {"part/test/good/000": "dent", DENT: "scratch"}
    assert "yolo-world finds a dent where nothing is labelled (0.90; x 4 to 12, y 4 to 12)" in {
        one.why for one in told.doubtful
    }
    assert any(one.why.startswith("yolo-world finds a scratch where a dent is labelled") for one in told.doubtful)


@pytest.mark.parametrize(
    "text", ["{}", '[{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]', "[5]"]
)
def test_detections_that_are_none(data: Path, tmp_path: Path, text: str) -> None:
    run = finder_run(tmp_path / "run", data, [])
    (run / "predictions.json").write_text(text)
    with pytest.raises(ToolkitError, match=r"predictions\.json"):
        find_suspects(data, run, copies=())


def test_a_learner_that_nobody_knows(data: Path, tmp_path: Path) -> None:
    run = detector_run(tmp_path / "run", data)
    environment = run / "environment.json"
    environment.write_text(environment.read_text().replace("patchcore", "oracle"))
    with pytest.raises(ToolkitError, match="is a run of oracle; name a run of classifier"):
        find_suspects(data, run, copies=())
