"""Runs that answer in a notebook: each learner trained, tested and asked from Python."""

from __future__ import annotations

import csv
import json
import pickle
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import cv2
import numpy as np
import pytest

import finetune
from finetune import Prediction, TrainedRun, load_run
from finetune.detectors import DETECTORS
from finetune.engine import shares
from finetune.engine.remarks.seen import read_seen
from finetune.engine.runs import read_config
from finetune.learners import LEARNERS, find_config, find_learner
from finetune.vae.predictor import load_trained
from tests.clusters import running_cluster
from tests.commands import ROOT, snapshot, times
from tests.finetune.runs import TINY, make_data
from toolkit import ToolkitError, load_dataset
from toolkit.files.digests import file_digest
from toolkit.files.parallel import ordered_map


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def before(data: Path) -> dict[str, tuple[int, int]]:
    """The data as it was before anything learnt from it."""
    return times(data)


@pytest.fixture(scope="module")
def image(data: Path) -> Path:
    return sorted((data / "test").glob("*/000.png"))[0]


@pytest.fixture(scope="module", params=LEARNERS)
def run(
    request: pytest.FixtureRequest, data: Path, before: object, tmp_path_factory: pytest.TempPathFactory
) -> TrainedRun:
    out = tmp_path_factory.mktemp("runs") / request.param
    without_effect = {"per_class": 3}  # of the strategies that these splits have
    return finetune.train(request.param, str(data), str(out), TINY[request.param], seed=1, split=without_effect)


@pytest.fixture(scope="module")
def vae(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return finetune.train("vae", data, tmp_path_factory.mktemp("runs") / "vae", TINY["vae"])


def same(first: Prediction, second: Prediction) -> bool:
    arrays = [(first.scores, second.scores), (first.boxes, second.boxes), (first.masks, second.masks)]
    alike = all(np.array_equal(one, other) for one, other in [*arrays, (first.map, second.map)] if one is not None)
    return alike and first.classes == second.classes and first.probabilities == second.probabilities


def test_every_run_says_the_same_things_under_the_same_names(run: TrainedRun) -> None:
    told = run.environment()
    assert (told["schema"], told["learner"], told["device"]) == (3, run.learner, "cpu")
    assert (told["weights"], told["weights_sha256"], told["metrics_of"]) == ("none", None, "test")
    assert told["best_chosen_on"] in (
        "the val subset",
        "nothing: the last epoch",
        "nothing: there are no epochs",
        "5 good images of train",
    )
    assert isinstance(told["notes"], list)
    assert run.metrics["seconds"] >= round(run.logged_seconds(), 3) > 0


def test_every_run_looked_at_its_images_and_knows_them(run: TrainedRun, data: Path) -> None:
    seen = read_seen(run)
    assert seen is not None
    every = load_dataset(data)
    assert seen.keys() == {one.key for one in every}
    assert {one.key: seen[one.key].sha256 for one in every} == {one.key: file_digest(one.image) for one in every}
    assert sum(one.subset == "test" for one in seen.values()) >= run.metrics["images"] > 0
    told = [note for note in run.notes if note.startswith("split.per_class=3")]
    assert told == ["split.per_class=3 has no effect: it is of split.strategy=uniform"]


def test_a_run_is_trained_and_opened_again(run: TrainedRun, data: Path) -> None:
    again = load_run(str(run.root))
    assert again == run
    assert again.metrics["seconds"] > 0
    assert "<table" in again._repr_html_()
    notes: list[str] = []
    assert finetune.evaluate(run.root, str(data), notes=notes)["images"] == again.evaluate()["images"] > 0
    assert [note for note in notes if "is the data that the run was trained on" in note]


def test_a_file_and_its_pixels_are_told_the_same_of(run: TrainedRun, image: Path) -> None:
    pixels = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)
    of_file, of_array = run.predict(image), run.predict(np.asarray(pixels, np.uint8))
    assert same(of_file, of_array)
    assert (of_file.path, of_array.path) == (image, None)
    assert (of_file.width, of_file.height) == (64, 64)


def test_what_is_told_fits_together(run: TrainedRun, image: Path) -> None:
    told = run.predict(str(image))
    assert len(told.classes) == len(told.scores)
    if run.learner in ("classifier", "longtail"):
        assert sum(told.probabilities.values()) == pytest.approx(1)
        assert told.probabilities[told.classes[0]] == max(told.probabilities.values()) == told.scores[0]
        assert told.masks is None
        return
    assert told.boxes.shape == (len(told.classes), 4)
    if run.learner in ("patchcore", "vae", "sam"):
        assert told.masks is not None
        assert told.masks.shape == (len(told.classes), 64, 64)
    if run.learner in ("patchcore", "vae"):
        assert told.map is not None
        assert told.map.shape == (64, 64)
        assert told.score == pytest.approx(told.map.max())
        assert np.array_equal(told.masks.any(axis=0), told.map > told.threshold)  # type: ignore[union-attr]


def test_memory_and_disk_tell_the_same(run: TrainedRun, image: Path, tmp_path: Path) -> None:
    rows = finetune.predict(run, image, tmp_path / "out")
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [str(image)] == [row["file"] for row in rows]
    told, row = run.predict(image), rows[0]
    if run.learner in ("classifier", "longtail"):
        assert (row["predicted"],) == told.classes
        assert row["probability"] == round(float(told.scores[0]), 6)
    elif run.learner in ("patchcore", "vae"):
        assert (row["score"], row["instances"]) == (told.score, len(told.classes))
    else:
        assert row["detections" if run.learner in DETECTORS else "instances"] == len(told.classes)


def prepared(path: Path, told: dict[str, Any]) -> Any:
    """An image as export.json says that it goes in: float32 (1, 3, height, width)."""
    height, width = told["image_size"]
    pixels = cv2.resize(cv2.imread(str(path)), (width, height), interpolation=cv2.INTER_AREA)[:, :, ::-1] / 255
    normalised = (pixels - told["input"]["mean"]) / told["input"]["std"]
    return normalised.transpose(2, 0, 1)[None].astype(np.float32)


def test_what_is_exported_answers_as_the_run_does(run: TrainedRun, image: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    made = finetune.export(run, "onnx", tmp_path / "out")
    told = json.loads((tmp_path / "out/export.json").read_text())
    assert made.max_difference == max(one["max_difference"] for one in told["files"]) < 1e-4
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"export.json", *(one.name for one in made.files)}
    sessions = [onnxruntime.InferenceSession(str(path)) for path in made.files]
    found = sessions[0].run(None, {"images": prepared(image, told)})[0]
    expected = run.predict(image)
    if run.learner in ("classifier", "longtail"):
        chances = dict(zip(told["classes"], found[0].tolist(), strict=True))
        assert chances == pytest.approx(dict(expected.probabilities), abs=1e-5)
    elif run.learner in ("vae", "patchcore"):
        np.testing.assert_allclose(cv2.resize(found[0], (64, 64)), expected.map, rtol=1e-3, atol=1e-4)
        assert told["threshold"] == expected.threshold
    elif run.learner == "sam":
        box, blank = np.array([[[8, 8], [40, 30]]], np.float32), np.zeros((1, 1, 16, 16), np.float32)
        asked = (found, box, np.array([[2, 3]], np.float32), blank, np.zeros(1, np.float32), np.float32([64, 64]))
        names = [one["name"] for one in told["files"][1]["inputs"]]
        masks, quality, _ = sessions[1].run(None, dict(zip(names, asked, strict=True)))
        by_box = run.predict(image, boxes=[[8, 8, 40, 30]])
        assert quality[0] == pytest.approx(by_box.scores, abs=1e-4)
        assert np.mean((masks[0] > told["threshold"]) == by_box.masks) > 0.999  # next to 0, rounding may turn a pixel


def test_torchscript_answers_so_too(run: TrainedRun, tmp_path: Path) -> None:
    made = finetune.export(run, "torchscript", tmp_path / "out")
    assert made.max_difference < 1e-4
    assert {path.suffix for path in made.files} == {".pt"}
    with pytest.raises(ToolkitError, match="is not empty; choose another out, or add overwrite=True"):
        finetune.export(run, "torchscript", tmp_path / "out")


def test_exports_that_cannot_be_made_leave_nothing(vae: TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="to 'tflite': is no form of a model; use onnx or torchscript"):
        finetune.export(vae, "tflite", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo.png").touch()
    with pytest.raises(ToolkitError, match=r"was not written by an export \(it has no export.json\)"):
        finetune.export(vae, "onnx", tmp_path / "mine", overwrite=True)
    with (
        patch("finetune.engine.outputs.exports._TOLERANCE", -1.0),
        pytest.raises(ToolkitError, match="vae: answers differently from PyTorch once it is exported to torchscript"),
    ):
        finetune.export(vae, "torchscript", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_is_gone_through_one_by_one(vae: TrainedRun, image: Path) -> None:
    each = [one.path for one in vae.predict_each([image, str(image.parent)])]
    assert each == [image, *sorted(image.parent.glob("*.png"))]
    with pytest.raises(ToolkitError, match=r"is a folder; use predict_each"):
        vae.predict(image.parent)


def sent(function: Callable[[Any], Any], item: Any) -> Any:
    """What a function makes of an item, had both gone to another process and the result come back."""
    there, what = pickle.loads(pickle.dumps((function, item)))  # noqa: S301
    return pickle.loads(pickle.dumps(there(what)))  # noqa: S301


def in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    return ordered_map(partial(sent, function), items, workers=2, batch=1)


def test_who_predicts_changes_no_byte(
    run: TrainedRun, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    size = read_config(run, find_config(run.learner)).batch_size
    images = sorted(path.relative_to(data) for path in (data / "test").glob("*/00*.png"))[: size + 1]  # two shares
    finetune.predict(run, images, tmp_path / "here")
    with patch("finetune.inference.partial", lambda *_, **__: in_threads):
        finetune.predict(run, images, tmp_path / "there")
    there = snapshot(tmp_path / "there")
    assert there["predictions.csv"].count(b"\ntest/") == size + 1  # type: ignore[union-attr]
    assert there == snapshot(tmp_path / "here")


def test_a_cluster_that_loses_a_worker_predicts_the_same(
    vae: TrainedRun, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)  # where the workers do not stand
    images = sorted(path.relative_to(data) for path in (data / "test").glob("*/*.png"))
    assert len(images) > 4 * TINY["vae"]["batch_size"]  # two shares that are done, two that are waited in, and more
    (tmp_path / "cluster").mkdir()
    with running_cluster(tmp_path / "cluster") as cluster:
        cluster.prepare()
        there = partial(finetune.predict, vae, images, tmp_path / "there", cluster=cluster.address)
        rows = cluster.halfway(there, killed=True)
    assert rows == finetune.predict(vae, images, tmp_path / "here")
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "here")


def test_no_model_is_kept_when_all_is_predicted(vae: TrainedRun, image: Path, tmp_path: Path) -> None:
    with patch("finetune.vae.learner.load_trained", wraps=load_trained) as load:
        for name in ("one", "two"):
            finetune.predict(vae, image, tmp_path / name)
            assert not shares._kept
    assert load.call_count == 2


def test_a_run_that_has_changed_is_loaded_again(vae: TrainedRun) -> None:
    loaded = Mock(side_effect=lambda run: object())
    for _ in range(2):
        with shares.kept_model(loaded, vae):
            pass
    assert loaded.call_count == 1
    vae.best_checkpoint.touch()
    with shares.kept_model(loaded, vae):
        pass
    assert loaded.call_count == 2
    shares.forget_models()


def test_nothing_is_written_into_what_is_learnt_from(
    run: TrainedRun, data: Path, before: dict[str, tuple[int, int]]
) -> None:
    run.evaluate()
    assert times(data) == before


def test_what_only_some_learners_take_is_refused_by_the_others(run: TrainedRun, image: Path) -> None:
    words, boxes = {"words": ["rust"]}, {"boxes": [[8, 8, 40, 40]]}
    for learner, asked in (("yolo-world", words), ("sam", boxes)):
        if run.learner == learner:
            assert set(run.predict(image, **asked).classes) <= {"rust", "object"}  # type: ignore[arg-type]
        else:
            with pytest.raises(ToolkitError, match=f"is a run of {run.learner}; use it with a run of {learner}"):
                run.predict(image, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_other_arrays_are_refused(vae: TrainedRun, pixels: Any) -> None:
    with pytest.raises(
        ToolkitError, match=r"image: is an array of .*; give uint8 \(height, width, 3\), RGB, or a path"
    ):
        vae.predict(pixels)


def test_images_are_labelled_from_paths_and_a_text_is_one_format(vae: TrainedRun, data: Path, tmp_path: Path) -> None:
    report = finetune.autolabel(str(vae.root), str(data / "test" / "good"), str(tmp_path / "out"), formats="masks")
    assert report.images == 5
    assert (tmp_path / "out" / "masks" / "manifest.json").is_file()
    assert not (tmp_path / "out" / "coco").exists()


def test_an_out_that_holds_something_is_refused(vae: TrainedRun, image: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ToolkitError, match="is not empty"):
        finetune.predict(vae, [image], tmp_path)


def test_a_threshold_is_chosen_by_images_that_are_not_tested_and_used_in_prediction(
    run: TrainedRun, data: Path, tmp_path: Path
) -> None:
    if run.learner == "sam":
        for refused in (partial(run.evaluate, threshold=0.5), partial(run.evaluate, max_escape="5 %")):
            with pytest.raises(ToolkitError, match="is a run of sam, whose images have no score"):
                refused()
        return
    number = {"vae": 5, "patchcore": 16}.get(run.learner, 2)  # held out, cross-fitted, of val
    found = run.evaluate(max_false_reject="50 %")
    rank = (number + 1) // 2
    assert (found["expected_false_reject"], found["threshold_images"]) == (rank / (number + 1), number)
    assert 0 <= found["false_reject_low"] <= found["false_reject"] <= found["false_reject_high"] <= 1  # type: ignore[operator]
    threshold = float(found["threshold"])  # type: ignore[arg-type]
    images, asked = sorted((data / "test" / "good").glob("*.png"))[:2], load_run(run.root, threshold)
    rows = [dict(row) for row in finetune.predict(run, images, tmp_path / "out", threshold=threshold)]
    flag = "anomalous" if "anomalous" in rows[0] else "rejected"
    for row, image in zip(rows, images, strict=True):
        told = asked.predict(image)
        seen = told.score > threshold if told.score is not None else told.classes not in ((), ("good",))
        assert float(row["threshold"]) == pytest.approx(threshold)  # type: ignore[arg-type]
        assert int(row[flag]) == int(seen)  # type: ignore[call-overload]
    if run.learner == "classifier":
        known = find_learner(run.learner).scoring.known(run)  # type: ignore[union-attr]
        assert (len(known.good), len(known.defective)) == (2, 7)
        assert -sorted(known.good)[-1] == threshold
        found = run.evaluate(max_escape=0.5, promise="sure")
        assert -sorted(known.defective)[0] < float(found["threshold"]) <= -sorted(known.defective)[0] + 1e-6  # type: ignore[arg-type]
        assert found["sure_escape"] == pytest.approx(1 - 0.05 ** (1 / 7))


def test_what_no_threshold_can_promise_is_refused(vae: TrainedRun) -> None:
    with pytest.raises(ToolkitError, match=r"max_false_reject=1 %: 5 good image.s. .* cannot promise"):
        vae.evaluate(max_false_reject=0.01)
    with pytest.raises(ToolkitError, match=r"there are no defective image.s. that were not trained on"):
        vae.evaluate(max_escape=0.5)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"threshold": 0.1, "max_escape": 0.1}, "max_escape: does not go with threshold"),
        ({"max_false_reject": "5"}, "is no rate between 0 and 100 %; write for instance 5 % or 0.05"),
        ({"max_false_reject": 0.5, "promise": "certain"}, "is no promise; use expected or sure"),
        ({"promise": "sure"}, "promise: says how a rate is kept, and none is asked for; give max_false_reject"),
        ({"threshold": float("nan")}, "nan is not a finite number"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(vae: TrainedRun, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolkitError, match=said):
        vae.evaluate(**asked)


def test_a_threshold_is_not_chosen_by_the_images_that_are_tested(vae: TrainedRun, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(vae.root, copy)
    load_run(copy).note(metrics_of="val")
    with pytest.raises(ToolkitError, match="has no test images: it would be tested on those that the threshold"):
        load_run(copy).evaluate(max_false_reject=0.5)
    (copy / "known_scores.csv").unlink()
    load_run(copy).note(metrics_of="test")
    with pytest.raises(ToolkitError, match=r"has no known_scores\.csv.*train again, or choose one yourself"):
        load_run(copy).evaluate(max_false_reject=0.5)


def test_every_figure_is_in_the_glossary(run: TrainedRun) -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    prompts = r"(?:untuned_)?(iou|dice|boundary_iou)_(?:jittered_box|box|point|clicks3)"
    for name in run.metrics:
        general = re.sub(r"_class_.*", "_class_X", re.sub(r"_size_.*", "_size_S", name))
        general = re.sub(r"_(low|high)$", "", re.sub(f"^{prompts}", r"\1_P", general))
        assert f"`{general}`" in page, name
