"""Data that says what an image shows and not where: folders of good and bad images, and boxes; learner by learner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from finetune import evaluate, predict, train
from finetune.detection.data import open_detection_data, write_tree
from finetune.engine.runs import Run, read_metrics
from finetune.engine.splits import SplitConfig, open_examples
from finetune.sam.data import read_instances
from tests.commands import save
from tests.converters.boxed import BOX, MASK, boxed_tree
from tests.finetune.runs import TINY
from tests.finetune.yolo_world.detecting import settings
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json

_SIDE = 32


def folders(root: Path, numbers: Mapping[str, int]) -> Path:
    """Folder -> as many images; those of bad ones have a spot."""
    for name, number in numbers.items():
        for index in range(number):
            pixels = np.random.default_rng((len(name), index)).integers(90, 110, (_SIDE, _SIDE, 3))
            if name in ("bad", "NG"):
                pixels[8:20, 8 + index % 4 : 24] = 220
            save(root / name / f"{index:02}.png", pixels.astype(np.uint8))
    return root


@pytest.mark.parametrize(
    ("learner", "numbers", "figures"),
    [
        ("classifier", {"ok": 10, "bad": 10}, {"accuracy", "recall_class_good", "recall_class_bad"}),
        ("longtail", {"normal": 20, "NG": 8}, {"accuracy", "accuracy_head", "recall_class_good", "recall_class_NG"}),
        ("vae", {"Good": 14, "bad": 3}, {"image_auroc", "image_ap", "escape"}),
    ],
)
def test_folders_of_good_and_bad_images(
    learner: str, numbers: dict[str, int], figures: set[str], tmp_path: Path
) -> None:
    data = folders(tmp_path / "data", numbers)
    run = train(learner, data, tmp_path / "run", {**TINY[learner], "epochs": 1})
    found = read_metrics(Run(run.root, learner))
    assert figures <= set(found)
    assert not [name for name in found if name.startswith(("pixel_", "aupro", "mask_"))]
    assert all(found[name] is not None for name in figures)
    own = {name: value for name, value in found.items() if name not in ("seconds", "split_sha256")}
    again = evaluate(run.root)
    assert {name: again[name] for name in figures} == pytest.approx({name: own[name] for name in figures})
    (row,) = predict(run.root, min(data.rglob("*.png")), tmp_path / "answers")
    assert Path(str(row["file"])).name == "00.png"


class TestAnomalyDetector:
    def test_defects_are_tested_and_what_is_missing_is_said(self, tmp_path: Path) -> None:
        data = folders(tmp_path / "data", {"ok": 14, "bad": 3})
        run = train("vae", data, tmp_path / "run", {**TINY["vae"], "epochs": 1})
        notes = run.environment()["notes"]
        assert "train holds 3 image(s) with a defect: they are test, and so are 3 good ones" in notes
        assert any("no label of a test image is a mask" in note for note in notes)
        assert read_metrics(run)["images"] == 6

    def test_boxes_give_figures_of_images_alone(self, tmp_path: Path) -> None:
        data = boxed_tree(tmp_path / "data", [[BOX]] * 3 + [[]] * 14)
        run = train("vae", data, tmp_path / "run", {**TINY["vae"], "epochs": 1})
        found = read_metrics(run)
        assert "image_auroc" in found
        assert "pixel_auroc" not in found


class TestSegmenter:
    def test_classes_are_refused(self, tmp_path: Path) -> None:
        data = folders(tmp_path / "data", {"ok": 3, "bad": 3})
        with pytest.raises(ToolkitError, match="holds classes without masks; name a tree of masks or polygons"):
            train("sam", data, tmp_path / "run", TINY["sam"])
        assert not (tmp_path / "run").exists()

    def test_boxes_are_refused(self, tmp_path: Path) -> None:
        data = boxed_tree(tmp_path / "data", [[BOX]] * 4)
        with pytest.raises(ToolkitError, match="holds boxes without masks; name a tree of masks or polygons"):
            train("sam", data, tmp_path / "run", TINY["sam"])
        assert not (tmp_path / "run").exists()

    def test_boxes_among_masks_are_left_out_and_counted(self, tmp_path: Path) -> None:
        from finetune.engine.config import parse_config
        from finetune.sam.config import SamConfig
        from finetune.sam.data import choose_images

        data = boxed_tree(tmp_path / "data", [[BOX, MASK]] * 3 + [[BOX]] * 2 + [[MASK]])
        examples = open_examples(data, SplitConfig(strategy="native"))
        found = read_instances(examples.examples, data)
        assert [len(image.instances) for image in found] == [1, 1, 1, 0, 0, 1]
        assert all(one.mask is not None for image in found for one in image.instances)
        chosen = choose_images(examples, data, parse_config(SamConfig, TINY["sam"]))
        assert chosen.notes == ("5 object(s) with a box and no mask are left out",)
        assert len(chosen.train) + len(chosen.val) == 4


class TestDetector:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        """A run that has begun."""
        write_json(tmp_path / "run/environment.json", {"learner": "yolo-world", "data": "data", "notes": []})
        return Run(tmp_path / "run", "yolo-world")

    def test_classes_are_refused(self, tmp_path: Path) -> None:
        data = folders(tmp_path / "data", {"ok": 3, "bad": 3})
        with pytest.raises(ToolkitError, match="says nothing of where defects are; name a tree with boxes"):
            train("yolo-world", data, tmp_path / "run", TINY["yolo-world"])
        assert not (tmp_path / "run").exists()

    def test_a_model_of_masks_refuses_boxes(self, tmp_path: Path) -> None:
        data = boxed_tree(tmp_path / "data", [[BOX]] * 8 + [[]] * 4)
        config = {**TINY["yolo-world"], "model": "yoloe-v8n-seg.yaml"}
        with pytest.raises(ToolkitError, match=r"holds boxes without masks, and yoloe-v8n-seg.yaml learns masks"):
            train("yolo-world", data, tmp_path / "run", config)
        assert not (tmp_path / "run").exists()

    def test_boxes_are_what_it_trains_on(self, run: Run, tmp_path: Path) -> None:
        data = boxed_tree(tmp_path / "data", [[BOX]] * 2 + [[]])
        config = settings(split={"strategy": "native"})
        tree = write_tree(open_detection_data(data, config), run, config, masks=False)
        rows = [path.read_text().split() for path in sorted((tree.parent / "yolo-detect/labels").rglob("*.txt"))]
        assert [np.asarray(row, float).tolist() for row in rows] == [[0, 0.2, 0.25, 0.2, 0.2]] * 2 + [[]]
        assert run.environment()["notes"] == []

    def test_rectangles_that_a_model_of_masks_learns_are_counted(self, run: Run, tmp_path: Path) -> None:
        data = boxed_tree(tmp_path / "data", [[BOX, MASK]] * 3)
        config = settings(split={"strategy": "native"})
        for _ in range(2):  # the second time as a run that goes on
            write_tree(open_detection_data(data, config), run, config, masks=True)
        notes = run.environment()["notes"]
        assert notes == ["3 object(s) with a box and no mask: the model learns their rectangles as masks"]
