"""One look at all images before the first epoch: what is at fault, and what a user may not expect."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert
from finetune.classification.config import TilesConfig
from finetune.classifier.config import ClassifierConfig
from finetune.engine.config import LearnerConfig
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.remarks.telling import listening
from finetune.engine.splits import ImageRecords, SplitConfig, open_examples
from finetune.sam.config import SamConfig
from finetune.vae.config import VaeConfig
from finetune.yolo_world.config import YoloWorldConfig
from tests.commands import make_dataset, save
from toolkit.errors import BadInputError

SPLIT = SplitConfig(val=0, test=0.3)


def image(seed: int, height: int = 32, width: int = 32, *, largest: int = 255) -> np.ndarray[Any, Any]:
    kind = np.uint8 if largest < 256 else np.uint16
    return np.random.default_rng(seed).integers(largest // 2, largest + 1, (height, width), kind)


def product(
    root: Path, *, height: int = 32, width: int = 32, largest: int = 255, defect: int = 8, number: int = 4
) -> Path:
    """Good images and images with a square defect, of a size, a depth, and a side of the defect."""
    for index in range(number):
        save(root / f"part/train/good/{index}.png", image(index, height, width, largest=largest))
        save(root / f"part/test/good/{index}.png", image(100 + index, height, width, largest=largest))
        save(root / f"part/test/dent/{index}.png", image(200 + index, height, width, largest=largest))
        mask = np.zeros((height, width), np.uint8)
        mask[4 : 4 + defect, 4 : 4 + defect] = 255
        save(root / f"part/ground_truth/dent/{index}_mask.png", mask)
    return root


def looked_at(data: Path, config: LearnerConfig | None = None, split: SplitConfig = SPLIT) -> ImageRecords:
    config = config or ClassifierConfig(image_size=32)
    return check_inputs(open_examples(data, split, None, config.categories, config.on_problem), config)


def notes(data: Path, config: LearnerConfig | None = None, split: SplitConfig = SPLIT) -> list[str]:
    """The notes of the look, which are told at once too."""
    told: list[str] = []
    with listening(lambda kind, text: told.append(f"{kind}: {text}")):
        found = looked_at(data, config, split)
    own = [note for note in found.notes if f"note: {note}" in told]
    assert len(told) == len(own)
    return own


def test_sound_images_give_no_note_and_a_hash_each(tmp_path: Path) -> None:
    data = product(tmp_path)
    assert notes(data) == []
    found = looked_at(data)
    assert found.digests.keys() == {one.key for one in found.examples}
    assert len(set(found.digests.values())) == 12


class TestDepth:
    def test_what_is_used_of_sixteen_bits_is_said(self, tmp_path: Path) -> None:
        (note,) = notes(product(tmp_path, largest=4095))
        told = (
            "12 of 12 images have more than 8 bits a channel: 8 of them are used, the highest of 12 in all images "
            "alike, the range of the train images"
        )
        assert note == told

    def test_images_that_are_scaled_each_by_its_own_range_are_said(self, tmp_path: Path) -> None:
        data = product(tmp_path, largest=4095)
        save(data / "part/train/good/0.png", image(0, largest=1000))
        (note,) = notes(data, ClassifierConfig(image_size=32, depth="each"))
        assert "its own values take (of 12 looked at 1 take 10 bits, 11 take 12 bits), so that one" in note


class TestShape:
    def test_long_images_that_are_squashed_are_said(self, tmp_path: Path) -> None:
        data = product(tmp_path, width=200)
        (note,) = notes(data, ClassifierConfig(image_size=224))
        assert note.startswith("12 of 12 images are squashed more than twofold, up to 6.2 times (200 x 32 to")
        assert "to 224 x 224 px), and defects with them" in note

    @pytest.mark.parametrize(
        "config",
        [
            SamConfig(model="tiny"),
            YoloWorldConfig(),
            ClassifierConfig(resize="letterbox"),
            ClassifierConfig(aspect=6.25),
            ClassifierConfig(tiles=TilesConfig(side=32)),
        ],
        ids=["sam", "yolo-world", "letterbox", "aspect", "tiles"],
    )
    def test_learners_that_keep_the_shape_squash_nothing(self, config: LearnerConfig, tmp_path: Path) -> None:
        assert not [one for one in notes(product(tmp_path, width=200), config) if "squashed" in one]

    def test_twice_as_long_is_not_said(self, tmp_path: Path) -> None:
        assert notes(product(tmp_path, width=64)) == []


class TestSmallObjects:
    def test_they_are_counted_at_the_size_that_is_learnt_from(self, tmp_path: Path) -> None:
        data = product(tmp_path, height=256, width=256, defect=12)
        assert notes(data, ClassifierConfig(image_size=64)) == []  # 3 px
        (note,) = notes(data, ClassifierConfig(image_size=32))  # 1.5 px
        assert note.startswith(
            "4 of 4 objects in 4 images with defects are narrower than 2 px once images are resized to 32"
        )
        assert note.endswith("in 4 images all of them: they cannot be told from their surroundings; raise image_size")

    def test_detectors_can_leave_them_out(self, tmp_path: Path) -> None:
        data = product(tmp_path, height=256, width=256, defect=4)
        (note,) = notes(data, YoloWorldConfig(image_size=64))
        assert note.endswith(
            "count as missed; raise image_size, or join them (instances=merge:8), or leave them out (min_area=PX)"
        )
        assert notes(data, YoloWorldConfig(image_size=64, min_area=17)) == []

    def test_boxes_count_too(self, tmp_path: Path) -> None:
        convert(product(tmp_path / "data", height=256, width=256, defect=12), tmp_path / "out", formats=["yolo-detect"])
        (note,) = notes(tmp_path / "out/yolo-detect", ClassifierConfig(image_size=32))
        assert note.startswith("4 of 4 objects")

    def test_many_images_are_looked_at_in_part(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("finetune.engine.remarks.objects._MOST_READ", 2)
        (note,) = notes(product(tmp_path, height=256, width=256, defect=12), ClassifierConfig(image_size=32))
        assert note.startswith("2 of 2 objects in 2 of 4 images with defects")


class TestClasses:
    def test_one_that_a_subset_lacks_is_said(self, tmp_path: Path) -> None:
        data = make_dataset(tmp_path)
        split = SplitConfig(strategy="native")
        told = notes(data, None, split)
        assert [one for one in told if one.startswith("train has no images of 'dent'")]
        assert not [one for one in told if one.startswith("test")]

    def test_good_images_to_learn_from_are_all_that_an_anomaly_detector_needs(self, tmp_path: Path) -> None:
        data, config = make_dataset(tmp_path), VaeConfig(image_size=64)
        assert notes(data, config, SplitConfig(strategy="native")) == []
        shutil.rmtree(data / "part/test/good")
        (note,) = notes(data, config, SplitConfig(strategy="native"))
        assert note == "test has no images of 'good': its figures say nothing of them"


def test_test_images_that_are_learnt_from_are_named(tmp_path: Path) -> None:
    data = product(tmp_path)
    shutil.copy(data / "part/train/good/0.png", data / "part/test/good/1.png")
    (note,) = notes(data, VaeConfig(image_size=32), SplitConfig(strategy="native"))
    assert note.startswith(
        "1 of 8 test images are, byte for byte, also among those that are learnt from (part/test/good/1 = "
    )


class TestFaults:
    """All at once before anything is written, or left out and named."""

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        data = product(tmp_path)
        (data / "part/train/good/0.png").write_bytes(b"")
        whole = (data / "part/test/dent/1.png").read_bytes()
        (data / "part/test/dent/1.png").write_bytes(whole[:-30])
        return data

    def test_they_are_listed(self, broken: Path) -> None:
        with pytest.raises(BadInputError) as caught:
            looked_at(broken)
        assert [Path(one.file).name for one in caught.value.problems] == ["1.png", "0.png"]

    def test_they_are_left_out(self, broken: Path) -> None:
        found = looked_at(broken, ClassifierConfig(image_size=32, on_problem="skip"))
        assert len(found.examples) == 10
        told = [note for note in found.notes if "left out" in note]
        assert told[0] == "2 image(s) at fault are left out"
        assert sorted(Path(note.split(": ")[1]).name for note in told[1:]) == ["0.png", "1.png"]

    @pytest.mark.parametrize("learner", [ClassifierConfig, SamConfig, YoloWorldConfig])
    def test_faulty_masks_and_pixels_are_left_out_too(self, learner: type[LearnerConfig], tmp_path: Path) -> None:
        data = product(tmp_path)
        (data / "part/ground_truth/dent/1_mask.png").write_bytes(b"no mask")
        pixels = bytearray((data / "part/train/good/0.png").read_bytes())
        pixels[60:90] = bytes(30)  # within the stream, whose ends stay as they are
        (data / "part/train/good/0.png").write_bytes(pixels)
        (data / "part/ground_truth/dent/2_mask.png").unlink()
        config = learner(on_problem="skip", **({"model": "tiny"} if learner is SamConfig else {}))
        found = looked_at(data, config)
        gone = {
            "part/test/dent/1",
            "part/train/good/0",
            *(["part/test/dent/2"] if learner is not ClassifierConfig else []),
        }
        assert found.digests.keys() - {one.key for one in found.examples} >= gone
        assert len(found.examples) == 12 - len(gone)

    def test_labels_that_a_segmenter_cannot_read_are_refused(self, tmp_path: Path) -> None:
        data = product(tmp_path)
        (data / "part/ground_truth/dent/1_mask.png").write_bytes(b"no mask")
        with pytest.raises(BadInputError, match=r"1_mask\.png"):
            looked_at(data, SamConfig(model="tiny"))
        (note,) = notes(data)
        assert note.startswith("the labels of 1 images cannot be read, such as ")


class TestSettings:
    def test_those_that_these_images_leave_without_effect_are_said(self, tmp_path: Path) -> None:
        data = product(tmp_path, number=8)
        (note,) = notes(data, ClassifierConfig(image_size=32, hold_out=0.2), SplitConfig(val=0.2, test=0.3))
        assert note == "hold_out=0.2 has no effect: the split has a val subset"
        assert notes(data, ClassifierConfig(image_size=32, hold_out=0.2)) == []

    def test_objects_of_a_label_tree_stand_as_they_are(self, tmp_path: Path) -> None:
        convert(product(tmp_path / "data"), tmp_path / "out", formats=["coco"])
        (note,) = notes(tmp_path / "out/coco", SamConfig(model="tiny", instances="image"))
        assert note == "instances=image has no effect: the objects of a label tree stand as they are"


def test_an_image_without_a_subset_is_hashed_and_no_more(tmp_path: Path) -> None:
    data = product(tmp_path, number=6)
    (data / "part/train/good/0.png").write_bytes(b"no image")
    found = looked_at(data, None, SplitConfig(strategy="uniform", per_class=4, test_per_class=1, seed=3))
    assert len(found.digests) == 18
    assert len(found.examples) == 8
