"""Maps from a model whose reconstruction is known, thresholds, and labels that any reader can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from converters.sources import read_labels
from converters.verification.verify import verify
from converters.writing.pipeline import write_labels
from finetune.anomaly.maps import DEFECT, ScoredImage, draw_map, label_map, pack_map, smooth
from finetune.vae.models import PixelVae, Reconstruction
from finetune.vae.scores import gradient_map, residual_map, ssim_map
from finetune.vae.shape import VaeShape
from toolkit.dataset.keys import unique_keys
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import Grouping

SIDE = 32


class Grey(PixelVae):
    """Expects every image to be flat grey."""

    def __init__(self) -> None:
        super().__init__(VaeShape(SIDE, patch_size=2, num_downsamples=2, base_channels=8, latent=2))

    def forward(self, images: torch.Tensor, *, sample: bool = False) -> Reconstruction:
        nothing: Mapping[str, torch.Tensor] = {}
        return Reconstruction(images * 0 + 0.5, nothing, images[:, :1], images[:, :1])


class Corner(Grey):
    """Expects black at the top left, whichever way the image is turned, and grey elsewhere."""

    def forward(self, images: torch.Tensor, *, sample: bool = False) -> Reconstruction:
        found = super().forward(images)
        found.mean[:, :, : SIDE // 2, : SIDE // 2] = 0.0
        return found


@pytest.fixture
def stained() -> torch.Tensor:
    """Two grey images; the second has a white square at rows 8 to 13 and columns 20 to 25."""
    images = torch.full((2, 3, SIDE, SIDE), 0.5)
    images[1, :, 8:14, 20:26] = 1.0
    return images


def scored(folder: Path, name: str = "a", *, width: int = 64, height: int = 48, min_area: int = 0) -> ScoredImage:
    """A grey picture on disk whose map, of 16 x 16, has two hot cells far apart."""
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((height, width, 3), 120, np.uint8))
    scores = np.zeros((16, 16), np.float32)
    scores[3:5, 3:6], scores[11:13, 10:14] = 4.0, 2.0
    return ScoredImage(f"thing/test/{name}", path, width, height, scores, min_area=min_area)


class TestMaps:
    def test_residual_is_the_mean_squared_difference(self, stained: torch.Tensor) -> None:
        found = residual_map(Grey(), stained)
        assert found.shape == (2, SIDE, SIDE)
        assert torch.all(found[0] == 0)
        expected = torch.zeros(SIDE, SIDE)
        expected[8:14, 20:26] = 0.25
        assert torch.allclose(found[1], expected)

    def test_views_are_turned_back_before_they_are_averaged(self, stained: torch.Tensor) -> None:
        assert torch.allclose(residual_map(Grey(), stained, views=8), residual_map(Grey(), stained))
        quarter = residual_map(Corner(), stained[:1], views=8)[0]
        # Each corner is the top left one in two of the eight views.
        assert torch.allclose(quarter, torch.full((SIDE, SIDE), 0.25 * 2 / 8))

    def test_ssim_is_high_where_structure_is_missing(self, stained: torch.Tensor) -> None:
        found = ssim_map(Grey(), stained)
        assert found.shape == (2, SIDE, SIDE)
        assert float(found[0].max()) < 1e-4
        assert float(found[1, 8:14, 20:26].min()) > 0.5
        assert float(found[1, 24:, :8].max()) < 1e-4

    def test_gradient_steps_move_only_what_is_not_expected(self, stained: torch.Tensor) -> None:
        found = gradient_map(Grey(), stained, steps=20)
        assert found.shape == (2, SIDE, SIDE)
        assert torch.all(found[0] == 0)
        inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        inside[8:14, 20:26] = True
        assert float(found[1][inside].min()) > 0.1
        assert torch.all(found[1][~inside] == 0)

    def test_one_gradient_step_is_the_formula(self, stained: torch.Tensor) -> None:
        moved = gradient_map(Grey(), stained, steps=1, rate=0.1)[1, 10, 22]
        # dE/dx = 2 (x - f) = 1; the L1 term has no slope at x0; (x - f)^2 = 0.25.
        assert float(moved) == pytest.approx(0.1 * 1.0 * 0.25)

    def test_smoothing_keeps_the_sum_and_the_place(self) -> None:
        maps = torch.zeros(1, 41, 41)
        maps[0, 20, 12] = 1.0
        found = smooth(maps, 2.0)
        assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)
        assert divmod(int(found[0].argmax()), 41) == (20, 12)
        assert float(found[0, 20, 14] / found[0, 20, 12]) == pytest.approx(np.exp(-0.5), rel=1e-4)
        assert smooth(maps, 0.0) is maps


class TestLabels:
    def test_what_is_above_the_threshold_becomes_instances(self, tmp_path: Path) -> None:
        image = scored(tmp_path)
        labelled = label_map(image, 1.0)
        assert (labelled.width, labelled.height, labelled.image_label) == (64, 48, "defect")
        expected = image.enlarged() > 1.0
        painted = np.zeros((48, 64), np.bool_)
        for instance in labelled.instances:
            x0, y0, x1, y1 = instance.bbox
            painted[y0:y1, x0:x1] |= instance.mask
        assert len(labelled.instances) == 2
        assert np.array_equal(painted, expected)

    @pytest.mark.parametrize("min_area", [0, 1, 2, 30, 150, 64 * 48])
    def test_the_score_says_the_same_as_the_labels(self, tmp_path: Path, min_area: int) -> None:
        # Eighths: many pixels share a level, and doubles between two floats would be rounded to one of them.
        scores = (np.random.default_rng(min_area).integers(0, 33, (16, 16)) / 8 + 0.1).astype(np.float32)
        image = replace(scored(tmp_path, min_area=min_area), scores=scores)
        levels = np.unique(image.enlarged()).astype(np.float64)
        for threshold in [*levels[::37], image.score, image.score - 1e-12, image.score + 1e-12]:
            assert bool(label_map(image, threshold).instances) == (image.score > threshold)
        assert (image.score < levels[-1]) == (min_area >= 30)

    def test_an_image_smaller_than_the_least_area_is_never_a_defect(self, tmp_path: Path) -> None:
        image = scored(tmp_path, min_area=64 * 48 + 1)
        assert image.score == -np.inf
        assert label_map(image, -1.0).image_label == "good"

    @pytest.mark.parametrize(
        ("min_area", "grouping", "instances"), [(0, None, 2), (64 * 48, None, 0), (0, Grouping("image"), 1)]
    )
    def test_instances_are_grouped_as_those_of_masks(
        self, tmp_path: Path, min_area: int, grouping: Grouping | None, instances: int
    ) -> None:
        labelled = label_map(scored(tmp_path, min_area=min_area), 1.0, grouping=grouping)
        assert len(labelled.instances) == instances
        assert labelled.image_label == ("defect" if instances else "good")

    def test_trees_of_every_format_are_read_and_verified(self, tmp_path: Path) -> None:
        images = [scored(tmp_path, "a"), scored(tmp_path, "b", width=40, height=90)]
        formats = ["coco", "yolo-detect", "yolo-segment", "semantic", "masks"]
        write_labels((label_map(image, 1.0) for image in images), tmp_path / "out", formats, classes=[DEFECT])
        expected = {image.key: label_map(image, 1.0) for image in images}
        for name in ("coco", "yolo-segment"):
            for image in read_labels(tmp_path / "out" / name):
                wanted = expected[image.key].instances
                assert [one.bbox for one in image.instances] == [one.bbox for one in wanted]
                assert all(np.array_equal(a.mask, b.mask) for a, b in zip(image.instances, wanted, strict=True))
        assert verify(tmp_path / "out").failures == ()


class TestFiles:
    def test_a_map_is_read_back(self, tmp_path: Path) -> None:
        image = scored(tmp_path)
        (tmp_path / "map.npz").write_bytes(pack_map(image, 1.5))
        with np.load(tmp_path / "map.npz", allow_pickle=False) as found:
            assert np.array_equal(found["scores"], image.scores)
            assert (float(found["threshold"]), int(found["width"]), int(found["height"])) == (1.5, 64, 48)

    def test_the_same_map_gives_the_same_bytes(self, tmp_path: Path) -> None:
        image = scored(tmp_path)
        assert pack_map(image, 1.5) == pack_map(image, 1.5)
        assert draw_map(image, 1.5) == draw_map(image, 1.5)

    def test_the_overlay_shows_heat_where_scores_are_high(self, tmp_path: Path) -> None:
        drawn = cv2.imdecode(np.frombuffer(draw_map(scored(tmp_path), 1.0), np.uint8), cv2.IMREAD_COLOR)
        assert drawn is not None
        assert drawn.shape == (48, 64, 3)
        assert tuple(drawn[2, 60]) == (120, 120, 120)
        blue, _, red = (int(value) for value in drawn[11, 17])
        assert red > blue + 60


@pytest.mark.parametrize(
    ("paths", "keys"),
    [
        (["x/a.png", "x/b.png"], ["a", "b"]),
        (["x/a.png", "y/a.png"], ["x/a", "y/a"]),
        (["x/1/a.png", "y/1/a.png", "x/2/b.png"], ["x/1/a", "y/1/a", "x/2/b"]),
        (["x/a b.png"], ["a b"]),
        (["x/a.png", "x/a.jpg", "x/b.png"], ["a.png", "a.jpg", "b.png"]),
        ([], []),
    ],
)
def test_keys_have_as_many_folders_as_tell_images_apart(paths: list[str], keys: list[str]) -> None:
    assert unique_keys([Path("/data", path) for path in paths]) == keys


def test_an_image_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ToolkitError, match="named twice"):
        unique_keys([Path("a.png"), Path("b.png"), Path("a.png")])
