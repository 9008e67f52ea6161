"""Images and masks stand upright as their EXIF orientation says; OpenCV and ultralytics are the judges."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from toolkit.dataset.inspection import read_sample
from toolkit.dataset.samples import Sample
from toolkit.errors import BadInputError
from toolkit.imaging.images import ImageHeader, read_header, read_image
from toolkit.imaging.masks import Mask, fitted, read_class_ids, read_mask
from toolkit.imaging.orientation import is_transposed, turn

Pixels = npt.NDArray[Any]
ORIENTATIONS = range(1, 9)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
SMOOTH = cv2.resize(cv2.resize(NOISE, (5, 3)), (40, 24))
MARKED = np.zeros((24, 40), np.uint8)
MARKED[3:9, 5:30] = 255
MARKED[9:20, 5:8] = 255
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 98}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "tif": ("TIFF", {"compression": "tiff_lzw"}),
}


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def photo(path: Path, pixels: Pixels, orientation: int) -> Path:
    kind, options = FORMS[path.suffix[1:]]
    Image.fromarray(pixels).save(path, kind, exif=exif_of(orientation), **options)
    return path


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """By the table of the EXIF standard, with numpy alone."""
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }[orientation](pixels)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", FORMS)
def test_an_image_stands_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = photo(tmp_path / f"0.{suffix}", SMOOTH, orientation)
    judge = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    found, header = read_image(path), read_header(path)
    assert np.array_equal(found, judge)
    assert np.abs(found[:, :, ::-1].astype(int) - upright(SMOOTH, orientation)).max() < 24  # what JPEG leaves
    assert (header.width, header.height) == (found.shape[1], found.shape[0])
    assert (header.stored, header.turned, header.orientation) == ((40, 24), orientation != 1, orientation)


@pytest.mark.parametrize("suffix", FORMS)
def test_ultralytics_sees_the_same(tmp_path: Path, suffix: str) -> None:
    data_utils = pytest.importorskip("ultralytics.data.utils")
    patches = pytest.importorskip("ultralytics.utils.patches")
    for orientation in ORIENTATIONS:
        path = photo(tmp_path / f"{orientation}.{suffix}", SMOOTH, orientation)
        assert np.array_equal(patches.imread(str(path)), read_image(path))
        with Image.open(path) as image:
            assert data_utils.exif_size(image) == (read_header(path).width, read_header(path).height)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


TURNED = exif_of(6).tobytes().removeprefix(b"Exif\0\0")


PIXELS = np.random.default_rng(1).integers(0, 256, (160, 240), np.uint8)
LONG = chunk(b"tEXt", b"Comment\0" + bytes([65]) * 30_000)
LARGE = chunk(b"eXIf", TURNED + bytes(50_000))
PLACES = {
    "ahead": (chunk(b"eXIf", TURNED), b""),
    "ahead, behind a long chunk": (LONG + chunk(b"eXIf", TURNED), b""),
    "ahead, and large": (LARGE, b""),
    "behind": (b"", chunk(b"eXIf", TURNED)),
    "behind, and large": (b"", LARGE),
    "behind, ahead of a long chunk": (b"", chunk(b"eXIf", TURNED) + LONG),
    "behind, after a long chunk": (b"", LONG + chunk(b"eXIf", TURNED)),
    "behind, with letters of pixels": (b"", chunk(b"eXIf", TURNED) + chunk(b"tEXt", b"Comment\0IDAT" + bytes(8))),
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("writer", ["Pillow", "OpenCV", "one chunk"])
def test_the_orientation_of_a_png_is_found_wherever_it_stands(tmp_path: Path, writer: str, where: str) -> None:
    """Writers give pixels a chunk for 8 KB, for 64 KB, or for all."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    data = bytes(cv2.imencode(".png", PIXELS)[1]) if writer == "OpenCV" else buffer.getvalue()
    first, end = data.index(b"IDAT") - 4, len(data) - 12
    pixels = data[first:end]
    if writer == "one chunk":
        rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
        pixels = chunk(b"IDAT", zlib.compress(rows))
    path = tmp_path / "0.png"
    ahead, behind = PLACES[where]
    path.write_bytes(data[:first] + pixels + data[end:])
    assert read_header(path) == ImageHeader(240, 160, 1)
    path.write_bytes(data[:first] + ahead + pixels + behind + data[end:])
    assert read_header(path) == ImageHeader(160, 240, 1, orientation=6)
    judge = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read_image(path), judge)
    assert judge.shape == (240, 160, 3)


def test_four_letters_among_the_pixels_turn_nothing(tmp_path: Path) -> None:
    raw = b"\0" + b"\0\0\0\x16eXIfMM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"
    head = struct.pack(">IIBBBBB", len(raw) - 1, 1, 8, 0, 0, 0, 0)
    packed = zlib.compressobj(0)
    data = packed.compress(raw) + packed.flush()
    path = tmp_path / "0.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    assert not read_header(path).turned
    assert read_image(path).shape[0] == 1


def segment(exif: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif


@pytest.mark.parametrize(
    "segments",
    [
        segment(b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>6</tiff:Orientation>"),
        segment(b"Exif\0\0" + TURNED),
        segment(b"Exif\0\0" + TURNED[:-12]),
        segment(b"Exif\0\0XX" + TURNED[2:]),
        segment(b"Exif\0\0II*\0\x08\0\0\0\0\0") + segment(b"Exif\0\0" + TURNED),
        segment(b"Exif\0\0" + exif_of(9).tobytes()[6:]) + segment(b"Exif\0\0" + TURNED),
        segment(b"Exif\0\0" + exif_of(0).tobytes()[6:]),
        segment(b"Exif\0\0"),
    ],
    ids=["XMP", "one", "cut", "no TIFF", "empty, then one", "senseless, then one", "zero", "nothing"],
)
def test_odd_exif_is_read_as_opencv_reads_it(tmp_path: Path, segments: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "JPEG")
    path = tmp_path / "0.jpg"
    path.write_bytes(buffer.getvalue()[:2] + segments + buffer.getvalue()[2:])
    judge = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read_image(path), judge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow tells of EXIF data that are cut short
        assert (read_header(path).height, read_header(path).width) == judge.shape[:2]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_mask_is_turned_like_pixels(orientation: int) -> None:
    mask = Mask.of(MARKED, 40, 24).turned(orientation)
    expected = upright(MARKED, orientation)
    assert np.array_equal(mask.pixels(), expected)
    assert np.array_equal(turn(MARKED, orientation), expected)
    assert mask.crop.flags.c_contiguous or orientation == 1
    empty = Mask.of(np.zeros_like(MARKED), 40, 24).turned(orientation)
    assert (empty.width, empty.height, empty.crop.size) == (*expected.shape[::-1], 0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_mask_stands_upright_by_its_own_exif(tmp_path: Path, suffix: str, orientation: int) -> None:
    expected = upright(MARKED, orientation)
    path = photo(tmp_path / f"0.{suffix}", MARKED, orientation)
    assert np.array_equal(read_mask(path).pixels() > 0, expected > 0)
    assert np.array_equal(read_class_ids(path), expected)
    palette = Image.fromarray(MARKED // 255, "P")
    palette.putpalette([0, 0, 0, 200, 0, 0])
    if suffix != "webp":
        palette.save(path, exif=exif_of(orientation))
        assert np.array_equal(read_mask(path).pixels() > 0, expected > 0)


def sample(folder: Path, mask: Pixels, orientation: int) -> Sample:
    """A photo with a bright spot where MARKED is, as stored, and a mask."""
    photo(folder / "0.jpg", np.where(MARKED, 250, 90).astype(np.uint8), orientation)
    Image.fromarray(np.ascontiguousarray(mask)).save(folder / "0_mask.png")
    return Sample("part/test/chip/0", folder / "0.jpg", (folder / "0_mask.png",), "part", "chip", "test")  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("frame", ["upright", "stored"])
def test_a_label_lies_on_the_defect(tmp_path: Path, orientation: int, frame: str) -> None:
    drawn = upright(MARKED, orientation) if frame == "upright" else MARKED
    one = sample(tmp_path, drawn, orientation)
    found = read_sample(one)
    same_size = not is_transposed(orientation)
    expected = drawn if same_size else upright(MARKED, orientation)
    assert np.array_equal(found.marked(), expected > 0)
    assert found.turned == (frame == "stored" and not same_size)
    if frame == "upright" or not same_size:
        assert read_image(one.image)[found.marked()].mean() > 200


def test_a_size_that_fits_no_frame_is_told_with_the_orientation(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        read_sample(sample(tmp_path, MARKED[:, :30], 6))
    (problem,) = caught.value.problems
    assert problem.problem.startswith("is 30 x 24 pixels, its image ")
    assert problem.problem.endswith("0.jpg is 24 x 40 upright, as its EXIF orientation (6) says")


def test_a_mask_with_an_exif_tag_of_its_own_is_not_turned_twice(tmp_path: Path) -> None:
    one = sample(tmp_path, MARKED, 6)
    photo(tmp_path / "0_mask.png", upright(MARKED, 6), 6)  # drawn upright, with the photo's tag copied
    with pytest.raises(BadInputError, match="is 40 x 24 pixels, turned by its own EXIF orientation, its image"):
        read_sample(one)


def test_a_mask_fits_upright_where_both_frames_have_its_size() -> None:
    mask = Mask.of(MARKED[:, :24], 24, 24)
    assert fitted(mask, ImageHeader(24, 24, 1, orientation=6), Path("mask.png"), Path("0.jpg")) is mask
