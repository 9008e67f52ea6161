"""Labels made by models: what is written, what is said of it, and what is refused. The detector is an anomaly run."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from converters.sources import read_labels
from converters.verification.verify import verify
from finetune.autolabelling.autolabel import autolabel
from finetune.autolabelling.evaluation import Truth, label_metrics
from finetune.autolabelling.proposals import Proposal, Proposer, open_proposer
from finetune.engine.config import parse_config
from finetune.engine.runs import Run, open_run
from finetune.metrics.detection import Detections
from finetune.vae.learner import VaeConfig, train
from tests.commands import defectkit
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.synthetic.product import write_product

SETTINGS = {
    "epochs": 4,
    "batch_size": 8,
    "image_size": 32,
    "num_downsamples": 3,
    "base_channels": 8,
    "latent": 4,
    "patch_size": 2,
}


class Halves:
    """A segmenter that cuts out the left half of each box, and sees nothing in those of less than `least` pixels."""

    def __init__(self, fit: float = 0.9, least: int = 0) -> None:
        self.fit, self.least = fit, least
        self.asked: list[Path] = []

    def segment(
        self, image: Path, boxes: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        self.asked.append(image)
        picture = cv2.imread(str(image))
        assert picture is not None
        masks = np.zeros((len(boxes), *picture.shape[:2]), np.bool_)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.astype(int), strict=True):
            if (x1 - x0) * (y1 - y0) >= self.least:
                mask[y0:y1, x0 : x0 + (x1 - x0 + 1) // 2] = True
        return masks, np.full(len(boxes), self.fit)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("data"), image_size=64, per_class=2, train_good=24)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = parse_config(VaeConfig, {**SETTINGS, "device": "cpu", "max_false_reject": 0.4})
    return train(data, config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def images(data: Path) -> list[Path]:
    return sorted((data / "test").glob("*/*.png"))


@pytest.fixture(scope="module")
def labelled(run: Run, images: list[Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    autolabel(run, images, out, formats=["coco", "yolo-segment", "masks"], against=data)
    return out


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "instances.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "autolabel.json").read_text())
    return found


class TestWhatIsWritten:
    def test_trees_results_and_rows_hold_the_same_instances(self, labelled: Path) -> None:
        results = json.loads((labelled / "predictions.json").read_text())
        assert len(results) == len(rows(labelled)) == told(labelled)["instances"] > 0
        tree = {image.key: image for image in read_labels(labelled / "coco")}
        ours = [one for key in dict.fromkeys(row["key"] for row in results) for one in tree[key].instances]
        by_box = {(row["key"], tuple(row["bbox"])): row for row in results}
        for image in tree.values():
            for one in image.instances:
                x0, y0, x1, y1 = one.bbox
                row = by_box[image.key, (x0, y0, x1 - x0, y1 - y0)]
                decoded = coco_mask.decode(row["segmentation"])[y0:y1, x0:x1].astype(np.bool_)
                assert np.array_equal(decoded, one.mask)
        assert len(ours) == len(results)

    def test_the_trees_are_verified(self, labelled: Path) -> None:
        report = verify(labelled)
        assert [tree.kind for tree in report.trees] == ["coco", "masks", "yolo-segment"]
        assert report.failures == ()

    def test_a_score_is_that_of_the_box_times_that_of_the_mask(self, labelled: Path) -> None:
        for row in rows(labelled):
            assert float(row["score"]) == pytest.approx(float(row["box_score"]) * float(row["mask_score"]))
            assert 0.5 < float(row["score"]) < 1  # above the threshold that the anomaly detector learnt

    def test_the_figures_are_those_of_the_masks(self, labelled: Path, data: Path) -> None:
        metrics = told(labelled)["metrics"]
        both = either = 0
        for image in read_labels(labelled / "coco"):
            own, kind = image.marked(), image.key.split("/")[-2]
            file = data / "ground_truth" / kind / f"{image.key.split('/')[-1]}_mask.png"
            wanted = np.zeros_like(own) if kind == "good" else cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0
            both, either = both + int((own & wanted).sum()), either + int((own | wanted).sum())
        assert metrics["mask_iou"] == pytest.approx(both / either)
        assert 0 < metrics["mask_iou"] < 1

    def test_the_same_call_gives_the_same_files(
        self, labelled: Path, run: Run, images: list[Path], data: Path, tmp_path: Path
    ) -> None:
        autolabel(run, images, tmp_path / "out", formats=["coco", "yolo-segment", "masks"], against=data)
        for name in ("predictions.json", "instances.csv", "coco/annotations/instances_train.json"):
            assert (tmp_path / "out" / name).read_bytes() == (labelled / name).read_bytes()

    def test_doubt_is_greatest_near_the_threshold(self, labelled: Path) -> None:
        lowest: dict[str, float] = {}
        for row in rows(labelled):
            lowest[row["key"]] = min(lowest.get(row["key"], 1.0), float(row["score"]))
        doubt = told(labelled)["doubt"]
        assert set(lowest) <= set(doubt)
        for key, score in lowest.items():
            assert doubt[key] == pytest.approx(1 - (score - 0.5) / 0.5, abs=1e-5)
        assert all(0 < doubt[key] <= 1 for key in set(doubt) - set(lowest))


class TestSegmenter:
    def test_it_cuts_objects_out_of_their_boxes(
        self, labelled: Path, run: Run, images: list[Path], tmp_path: Path
    ) -> None:
        halves = Halves()
        report = autolabel(run, images, tmp_path / "out", segmenter=halves)
        assert report.instances == len(rows(labelled))
        for row, whole in zip(rows(tmp_path / "out"), rows(labelled), strict=True):
            width = int(whole["x1"]) - int(whole["x0"])
            assert int(row["x1"]) - int(row["x0"]) == (width + 1) // 2
            assert float(row["score"]) == pytest.approx(0.9 * float(whole["score"]))
        assert len(halves.asked) == len({row["key"] for row in rows(labelled)})  # not asked where nothing is

    def test_an_uncertain_mask_is_doubtful(self, run: Run, images: list[Path], tmp_path: Path) -> None:
        autolabel(run, images, tmp_path / "out", segmenter=Halves(fit=0.0))
        assert {told(tmp_path / "out")["doubt"][row["key"]] for row in rows(tmp_path / "out")} == {1.0}

    def test_boxes_without_a_mask_are_left_out_and_said(self, run: Run, images: list[Path], tmp_path: Path) -> None:
        report = autolabel(run, images, tmp_path / "out", segmenter=Halves(least=10_000))
        assert (report.instances, report.empty) == (0, len(images))
        assert report.notes == ("boxes in which the segmenter saw nothing were left out",)

    def test_boxes_alone_need_a_segmenter(
        self, run: Run, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        box = Detections("a", images[0], 64, 64, np.array([[1.0, 2.0, 9.0, 8.0]]), np.array([0.9]), ("dent",))
        monkeypatch.setattr(Proposer, "propose", lambda *_: iter([Proposal(box, 0.0)]))
        with pytest.raises(ToolkitError, match=r"segmenter: is missing.*name a run of sam"):
            autolabel(run, images[:1], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_of_several_masks_of_one_object_the_most_certain_stays_and_is_on_top(
    run: Run, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [(4, 4, 24, 24), (4, 4, 24, 23), (8, 8, 40, 40), (5, 4, 24, 24)]
    classes, certain = ("dent", "crack", "stain", "dent"), np.array([0.6, 0.9, 0.7, 0.5])
    masks = tuple(
        Instance(
            label, box, np.ones((box[3] - box[1], box[2] - box[0]), np.bool_), (box[3] - box[1]) * (box[2] - box[0])
        )
        for label, box in zip(classes, boxes, strict=True)
    )
    found = Detections("a", images[0], 64, 64, np.array(boxes, np.float64), certain, classes, masks)
    nothing = Detections("b", images[1], 64, 64, np.zeros((0, 4)), np.zeros(0), (), ())
    opened = replace(open_proposer(run, None, None), classes=("crack", "dent", "stain"))
    monkeypatch.setattr("finetune.autolabelling.autolabel.open_proposer", lambda *_: opened)
    monkeypatch.setattr(Proposer, "propose", lambda *_: iter([Proposal(found, 0.0), Proposal(nothing, 0.0)]))
    report = autolabel(run, images[:2], tmp_path / "out", formats=["coco", "semantic"])
    assert (report.instances, report.duplicates) == (2, 2)
    assert report.notes == (
        "2 mask(s) were left out, as a more certain one of any class covers the same object (IoU of 0.7 and more)",
    )
    assert [(row["label"], row["box_score"]) for row in rows(tmp_path / "out")] == [("stain", "0.7"), ("crack", "0.9")]
    assert told(tmp_path / "out")["duplicates"] == {"masks": 2, "iou": 0.7}
    assert [row["score"] for row in json.loads((tmp_path / "out/predictions.json").read_text())] == [0.7, 0.9]
    (painted,) = (image for image in read_labels(tmp_path / "out/semantic") if image.instances)
    areas = {one.label: one.area for one in painted.instances}
    assert areas == {"crack": 20 * 19, "stain": 32 * 32 - 16 * 15}


class TestTruth:
    def test_labels_agree_with_themselves(self, run: Run, images: list[Path], labelled: Path, tmp_path: Path) -> None:
        found = autolabel(run, images, tmp_path / "out", against=labelled / "coco").metrics
        for name in ("map50", "map50_95", "mask_map50", "mask_map50_95", "mask_iou", "instance_iou"):
            assert found[name] == pytest.approx(1.0), name

    def test_copies_of_images_are_known_by_their_bytes(
        self, run: Run, images: list[Path], data: Path, tmp_path: Path, labelled: Path
    ) -> None:
        for path in images:
            (tmp_path / "copy" / path.parent.name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "copy" / path.parent.name / path.name).write_bytes(path.read_bytes())
        copies = sorted((tmp_path / "copy").glob("*/*"))
        assert autolabel(run, copies, tmp_path / "out", against=data).metrics == told(labelled)["metrics"]

    def test_other_images_are_refused(self, run: Run, images: list[Path], data: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "other.png"), np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(ToolkitError, match=r"other.png: is not in .*against"):
            autolabel(run, [*images, tmp_path / "other.png"], tmp_path / "out", against=data)
        assert not (tmp_path / "out").exists()

    def test_kinds_are_compared_as_one_where_no_name_is_shared(
        self, run: Run, images: list[Path], tmp_path: Path
    ) -> None:
        autolabel(run, images, tmp_path / "dents", words=["dent"])
        same = autolabel(run, images, tmp_path / "one", against=tmp_path / "dents/coco", words=["dent"])
        other = autolabel(run, images, tmp_path / "two", against=tmp_path / "dents/coco", words=["crack"])
        assert same.notes == ()
        assert "compared as one" in other.notes[0]
        assert same.metrics == other.metrics
        assert same.metrics["mask_map50"] == 1.0


def labelled_squares(*boxes: tuple[int, int, int, int]) -> LabelledImage:
    instances = [
        Instance("dent", (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), np.bool_), (x1 - x0) * (y1 - y0))
        for x0, y0, x1, y1 in boxes
    ]
    return LabelledImage("a", Path("a.png"), 40, 30, tuple(instances))


@pytest.mark.parametrize(
    ("made", "true", "mask_iou", "instance_iou"),
    [
        ([(0, 0, 10, 10)], [(0, 0, 10, 10)], 1.0, 1.0),
        ([(0, 0, 10, 10)], [(5, 0, 15, 10)], 50 / 150, 50 / 150),
        ([(0, 0, 10, 10), (20, 20, 22, 22)], [(0, 0, 10, 5)], 50 / 104, 0.5),
        ([(0, 0, 10, 10)], [(0, 0, 10, 10), (20, 0, 30, 10)], 0.5, 0.5),
        ([], [(0, 0, 10, 10)], 0.0, 0.0),
        ([], [], 1.0, None),
    ],
)
def test_figures_of_overlap(made: list[Any], true: list[Any], mask_iou: float, instance_iou: float | None) -> None:
    path = Path("a.png")
    scores = {path: [0.9] * len(made)}
    found = label_metrics(
        {path: labelled_squares(*made)}, scores, Truth({path: labelled_squares(*true)}, False), ["dent"]
    )
    assert found["mask_iou"] == pytest.approx(mask_iou)
    assert found["instance_iou"] == pytest.approx(float("nan") if instance_iou is None else instance_iou, nan_ok=True)


class TestProposals:
    def test_more_confidence_finds_less(self, run: Run, images: list[Path]) -> None:
        found = [
            sum(len(one.found) for one in open_proposer(run, None, level).propose(images)) for level in (0.4, 0.6, 0.9)
        ]
        assert found[0] >= found[1] > found[2] == 0

    def test_what_was_missed_is_told(self, run: Run, images: list[Path]) -> None:
        proposer = replace(open_proposer(run, None, None), confidence=0.9)
        missed = [one.missed for one in proposer.propose(images)]
        assert all(0 < score < 0.9 for score in missed)
        assert max(missed) > 0.5

    @pytest.mark.parametrize(
        ("words", "confidence", "message"),
        [
            (["a", "b"], None, "tells? no kinds of defects apart"),
            ([""], None, "names nothing"),
            (["a", "a"], None, "a word twice"),
            (None, 0.0, "confidence: 0 is not between 0 and 1"),
            (None, 1.0, "confidence: 1 is not between 0 and 1"),
        ],
    )
    def test_what_does_not_go_together(
        self, run: Run, words: list[str] | None, confidence: float | None, message: str
    ) -> None:
        with pytest.raises(ToolkitError, match=message):
            open_proposer(run, words, confidence)

    def test_a_run_that_finds_no_places(self, run: Run, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="a run of classifier, which finds no places"):
            open_proposer(Run(tmp_path, "classifier"), None, None)


class TestCommand:
    def test_it_labels_a_dataset_root_but_not_its_masks(self, run: Run, data: Path, tmp_path: Path) -> None:
        outcome = defectkit("autolabel", data, "--detector", run.root, "--out", tmp_path / "out", "--json")
        assert outcome.status == 0, outcome.err
        assert outcome.json()["images"] == len(list((data / "test").glob("*/*"))) + 24
        assert (tmp_path / "out/review/index.html").is_file()

    def test_an_earlier_call_is_replaced_when_asked(self, run: Run, data: Path, tmp_path: Path) -> None:
        words = ["autolabel", data / "test/good", "--detector", run.root, "--out", tmp_path / "out"]
        assert defectkit(*words).status == 0
        refused = defectkit(*words)
        assert refused.status == 2
        assert "is not empty; choose another folder with --out, or add --overwrite" in refused.err
        assert defectkit(*words, "--overwrite").status == 0
        (tmp_path / "out/autolabel.json").unlink()
        assert "was not written by autolabel" in defectkit(*words, "--overwrite").err
        assert (tmp_path / "out/coco").is_dir()

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_what_stands_beside_the_output_is_left_alone(
        self, run: Run, images: list[Path], tmp_path: Path, overwrite: bool
    ) -> None:
        if overwrite:
            autolabel(run, images[:2], tmp_path / "out")
        (tmp_path / "out.old").mkdir()
        (tmp_path / "out.old/mine.txt").write_text("mine")
        autolabel(run, images[:3], tmp_path / "out", overwrite=overwrite)
        assert told(tmp_path / "out")["images"] == 3
        assert (tmp_path / "out.old/mine.txt").read_text() == "mine"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.old"]

    def test_images_that_would_be_replaced_are_refused(self, run: Run, images: list[Path], tmp_path: Path) -> None:
        autolabel(run, images[:2], tmp_path / "out")
        within = sorted((tmp_path / "out/coco/images").rglob("*.png"))
        with pytest.raises(ToolkitError, match="holds the images that are to be labelled"):
            autolabel(run, within, tmp_path / "out", overwrite=True)
        assert all(path.is_file() for path in within)

    def test_a_failure_at_the_end_leaves_nothing(
        self, run: Run, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> None:
            raise ToolkitError("review", "no space left", "free some")

        monkeypatch.setattr("finetune.autolabelling.autolabel.build_gallery", full)
        with pytest.raises(ToolkitError, match="no space left"):
            autolabel(run, images, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_leaves_nothing(self, run: Run, data: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a.png").write_bytes((data / "test/good/000.png").read_bytes())
        (tmp_path / "photos/b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        outcome = defectkit("autolabel", tmp_path / "photos", "--detector", run.root, "--out", tmp_path / "out")
        assert outcome.status == 2
        assert len(outcome.errors) == 1
        assert "b.png" in outcome.errors[0]
        assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_instances_of_a_map_keep_their_name(run: Run, images: list[Path]) -> None:
    found = [one.found for one in open_proposer(open_run(run.root), ["crack"], None).propose(images)]
    assert {label for one in found for label in one.labels} == {"crack"}
    assert all(one.masks is not None and len(one.masks) == len(one) for one in found)
