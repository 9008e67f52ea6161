"""Animations are refused: which of their pictures a program shows is a matter of the program."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import read_mask

ONE, OTHER = np.full((10, 20), 50, np.uint8), np.full((10, 20), 200, np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def animated(hidden: bool, frames: int, text: bytes = b"") -> bytes:
    """An animated PNG; `hidden`: its default image is none of its frames. `text` stands ahead of all that."""
    packed = [zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels)) for pixels in (ONE, OTHER)]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 10, 8, 0, 0, 0, 0)), chunk(b"tEXt", b"a\0" + text)]
    parts += [chunk(b"acTL", struct.pack(">II", frames, 0))]
    parts += [chunk(b"IDAT", packed[0])] if hidden else []
    for number in range(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * number, 20, 10, 0, 0, 1, 10, 0, 0)))
        own = not hidden and number == 0
        parts.append(
            chunk(b"IDAT", packed[0]) if own else chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + packed[1])
        )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("hidden", "frames", "count"), [(True, 1, 2), (True, 2, 3), (False, 2, 2)])
@pytest.mark.parametrize("read", [read_header, read_image, read_mask])
@pytest.mark.parametrize("text", [b"", b"x" * 3000], ids=["short", "long"])
def test_an_animated_png_is_refused(
    read: object, hidden: bool, frames: int, count: int, text: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "0.png"
    path.write_bytes(animated(hidden, frames, text))
    assert callable(read)
    with pytest.raises(ToolkitError, match=f"is an animation of {count} pictures, and one is read"):
        read(path)


def test_one_picture_is_no_animation(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    path.write_bytes(animated(False, 1))
    assert read_header(path).width == 20
    assert np.array_equal(read_image(path)[:, :, 0], ONE)


@pytest.mark.parametrize("frames", [1, 2])
def test_an_animated_webp_is_refused(frames: int, tmp_path: Path) -> None:
    buffer = BytesIO()
    first, *others = [Image.fromarray(pixels) for pixels in (ONE, OTHER)[:frames]]
    first.save(buffer, "WEBP", save_all=True, append_images=others, lossless=True)
    path = tmp_path / "0.webp"
    path.write_bytes(buffer.getvalue())
    if frames == 1:
        assert read_image(path).shape == (10, 20, 3)
        return
    for read in (read_header, read_image):
        with pytest.raises(ToolkitError, match="is an animation of 2 pictures"):
            read(path)
