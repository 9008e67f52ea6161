"""TIFFs that hold more than one page, or pixels that were changed when they were packed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import present_values, read_mask

MASK = np.zeros((40, 60), np.uint8)
MASK[11:30, 13:37] = 255


def tiff(path: Path, pages: int = 1, **options: Any) -> Path:
    first, *others = [Image.fromarray(np.roll(MASK, page, 1)) for page in range(pages)]
    first.save(path, "TIFF", save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("read", [read_image, read_header, read_mask])
def test_several_pages_are_refused(tmp_path: Path, read: Any, order: str) -> None:
    path = tiff(tmp_path / "a.tif", 3)
    if order == "big":
        parts = io.BytesIO()
        parts.write(b"MM\0*\0\0\0\x08")
        for page in range(3):
            rows = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 1)]
            parts.write(len(rows).to_bytes(2, "big"))
            for tag, kind, value in rows:
                packed = value.to_bytes(2, "big") + b"\0\0" if kind == 3 else value.to_bytes(4, "big")
                parts.write(tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + b"\0\0\0\x01" + packed)
            parts.write((parts.tell() + 4 if page < 2 else 0).to_bytes(4, "big"))
        path.write_bytes(parts.getvalue())
    with pytest.raises(ToolkitError, match="has 3 pages, and one is read; save the right one as PNG"):
        read(path)


def test_a_thumbnail_is_no_page(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", 2)
    data = bytearray(path.read_bytes())
    with Image.open(path) as image:
        image.seek(1)
        start = image._frame_pos[1]  # type: ignore[attr-defined]
    assert int.from_bytes(data[start + 2 : start + 4], "little") in (254, 256)
    # The first entry of the second directory becomes NewSubfileType, 1: a smaller picture of the first.
    data[start + 2 : start + 14] = b"\xfe\0\x04\0\x01\0\0\0\x01\0\0\0"
    path.write_bytes(data)
    assert read_mask(path).crop.shape == (19, 24)


def test_a_tiff_packed_as_jpeg_is_lossy(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", compression="jpeg", quality=50)
    with pytest.raises(ToolkitError, match="they come of lossy compression: say with threshold=128"):
        read_mask(path)
    for reading in ("nonzero", "values"):
        with pytest.raises(ToolkitError, match="lossy compression"):
            read_mask(path, values=(255,), reading=reading)  # type: ignore[arg-type]
    with pytest.raises(ToolkitError, match="lossy compression"):
        present_values(path, "values")
    assert np.array_equal(read_mask(path, threshold=128).pixels() > 0, MASK > 0)
    assert read_mask(tiff(tmp_path / "b.tif", compression="tiff_deflate")).crop.shape == (19, 24)


class TestValues:
    @pytest.mark.parametrize("kind", ["float32", "int32", "float64", "uint32", "int16", "int8"])
    def test_those_that_no_photo_is_made_of_are_named(self, tmp_path: Path, kind: str, capfd: Any) -> None:
        path = tmp_path / "a.tif"
        assert cv2.imwrite(str(path), np.arange(64).reshape(8, 8).astype(kind))
        with pytest.raises(ToolkitError, match=f"holds {kind}, and of photos uint8 and uint16 are read; scale its val"):
            read_image(path)
        assert capfd.readouterr() == ("", "")

    def test_several_channels_are_looked_at(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        cv2.imwrite(str(path), np.ones((8, 8, 3), np.float32))
        with pytest.raises(ToolkitError, match="holds float32"):
            read_image(path)

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.bool_])
    def test_others_are_read(self, tmp_path: Path, kind: Any) -> None:
        Image.fromarray(np.eye(8).astype(kind)).save(tmp_path / "a.tif")
        assert read_image(tmp_path / "a.tif").shape == (8, 8, 3)
