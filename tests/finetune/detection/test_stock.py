"""ultralytics' own settings: which pass through, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.detection.config import DetectorConfig
from finetune.detection.stock import passed_names, stock_table
from finetune.engine.config import load_config, parse_config
from finetune.experiments.attempts_file import flat_settings
from finetune.yolo.config import YoloConfig
from finetune.yolo_world.config import YoloWorldConfig
from toolkit.errors import ToolkitError

pytest.importorskip("ultralytics", reason='needs ultralytics: pip install "defectkit[yolo]"')


def test_the_table_is_that_of_ultralytics() -> None:
    from finetune.detection.runtime import load_ultralytics

    load_ultralytics()
    from ultralytics.utils import DEFAULT_CFG_DICT

    table = stock_table()
    assert {name: one.default for name, one in table.items()} == DEFAULT_CFG_DICT
    assert all(one.takes(one.default) or one.default is None for one in table.values())
    assert {"flipud", "degrees", "mosaic", "close_mosaic", "mask_ratio", "overlap_mask"} <= set(passed_names())


@pytest.mark.parametrize("kind", [YoloConfig, YoloWorldConfig])
def test_settings_of_training_pass_through(kind: type[DetectorConfig], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("train: {mosaic: 0, scale: [0.5, 1.5]}\n")
    told = load_config(kind, file, ["train.flipud=.5", "train.freeze=null"])
    assert told.train == {"flipud": 0.5, "freeze": None, "mosaic": 0, "scale": [0.5, 1.5]}
    assert list(told.train) == sorted(told.train)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": {"flipup": 1}}, "train.flipup: is no setting of ultralytics; did you mean flipud or fliplr?"),
        ({"train": {"flipud": "often"}}, "train.flipud: takes float, not 'often'; correct the value"),
        ({"train": {"mosaic": True}}, "train.mosaic: takes float, not True; correct the value"),
        ({"train": {"freeze": "x"}}, "train.freeze: takes int or list or null, not 'x'; correct the value"),
        ({"train": {"batch": 4}}, "train.batch: is batch_size here; use batch_size=... instead"),
        ({"train": {"lr0": 4}}, "train.lr0: is lr here; use lr=... instead"),
        ({"train": {"single_cls": True}}, 'train.single_cls: cannot be set here; use classes="binary"'),
        ({"train": {"pose": 1.0}}, "train.pose: is no setting of training a detector; leave it out"),
        ({"train": {"conf": 0.1}}, "train.conf: is no setting of training a detector; leave it out"),
        ({"train": {"copy_paste_mode": "x"}}, "train.copy_paste_mode: is none of flip, mixup; correct the value"),
        ({"train": {"cache": "disk"}}, "train.cache: takes true, false or ram, not 'disk'; use ram"),
        ({"train": {"freeze": 1}, "freeze": "neck"}, "train.freeze: does not go with freeze=neck; set one of them"),
        ({"flipud": 0.5}, "flipud is called train.flipud now; write train: {flipud: 0.5}"),
        ({"imgsz": 64}, "imgsz is called image_size now; write image_size: 64"),
    ],
)
def test_what_does_not_is_told_with_a_way_out(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        parse_config(YoloConfig, given)
    assert said in str(caught.value)


def test_a_model_of_words_is_not_compiled() -> None:
    with pytest.raises(ToolkitError, match=r"train.compile: a model of words is not compiled; leave it out"):
        parse_config(YoloWorldConfig, {"train": {"compile": True}})
    assert parse_config(YoloConfig, {"train": {"compile": True}}).train


def test_runs_that_differ_in_them_are_told_apart() -> None:
    some, none = (parse_config(YoloConfig, {"train": told}) for told in ({"flipud": 0.5}, {}))
    assert dict(flat_settings(some)) == {**dict(flat_settings(none)), "train": {"flipud": 0.5}}
