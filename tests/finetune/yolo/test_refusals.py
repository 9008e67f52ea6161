"""What a detector of given classes refuses: each with one clear error, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import convert
from finetune.yolo.learner import train
from finetune.yolo.models import find_model
from tests.finetune.yolo.plain import MASKS, settings
from tests.finetune.yolo_world.detecting import make_data
from toolkit.errors import ToolkitError


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("yolov8n-worldv2.yaml", r"its head is WorldDetect\); train it as yolo-world: defectkit train yolo-world"),
        ("yoloe-v8n-seg.yaml", r"its head is YOLOESegment\); train it as yolo-world"),
        ("yolo11n-cls.yaml", r"its head is Classify\); classes of whole images are learnt by 'defectkit train cla"),
        (
            "yolo11n-obb.yaml",
            r"its head is OBB\); use a model that .* .defectkit convert --to yolo-obb. writes",
        ),
        ("yolo26n-pose.yaml", r"\(its head is Pose26\); use for instance yolo11s.pt"),
        ("yolo11n-pose.pt", "no such file, and no such model of ultralytics; did you mean"),
        ("yolo11m", "is neither a .pt nor a .yaml; for instance yolo11s.pt"),
    ],
)
def test_models_of_other_kinds(model: str, said: str) -> None:
    with pytest.raises(ToolkitError, match=said):
        find_model(model, "none")


def test_a_model_that_would_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request._opener", None)  # which knows the proxies of before
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ToolkitError) as caught:
        find_model("yolo11n-seg.pt", "default")
    (told,) = caught.value.problems
    assert (told.file, "\n" in str(told)) == ("model yolo11n-seg.pt", False)
    assert told.problem.startswith("cannot be fetched from https://github.com/ultralytics/assets/releases/download/")
    assert str(tmp_path) in told.remedy
    assert "model=yolo11n-seg.yaml" in told.remedy
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize("name", ["yolo11n.yaml", "yolo26n-seg.yaml"])
def test_architectures_are_found_by_their_names(name: str) -> None:
    assert find_model(name, "none").masks == ("seg" in name)


def test_boxes_are_no_masks(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    convert(data, tmp_path / "out", formats=["yolo-detect"])
    said = rf"holds boxes without masks, and {MASKS} learns masks; use model=\"yolo11s.pt\", which learns boxes"
    with pytest.raises(ToolkitError, match=said):
        train(tmp_path / "out/yolo-detect", settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
