"""Small sound images of every format that is read, some that are not, and headers that lie about sizes."""

from __future__ import annotations

import io
import random
import struct
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from tests.fuzz.making.pngs import SIGNATURE, chunk, compress

__all__ = ["HEIGHT", "MASK", "WIDTH", "Picture", "crafted", "sound_pictures"]

WIDTH, HEIGHT = 53, 37
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[5:20, 11:40] = 255
_SIZES = (0, 1, 30_000, 65_500, 100_000, 1 << 30, 0x7FFFFFFF, 0xFFFFFFFF)
_LARGEST = 0xFFFFFFFF


class Picture(NamedTuple):
    """A file: its ending, its bytes, what it is, and whether it is `MASK` without loss."""

    ending: str
    data: bytes
    what: str
    is_mask: bool = False


def _saved(ending: str, image: Image.Image, what: str, *, is_mask: bool = False, **options: Any) -> Picture:
    store = io.BytesIO()
    image.save(store, **options)
    return Picture(ending, store.getvalue(), what, is_mask)


def sound_pictures() -> list[Picture]:
    """One of each kind."""
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    photo = Image.fromarray(np.asarray(cv2.GaussianBlur(noise, (0, 0), 2)))
    grey = Image.fromarray(MASK)
    return [*_pngs(grey, photo), *_jpegs(grey, photo), *_bmps(grey, photo), *_tiffs(grey, photo), *_others(grey, photo)]


def _deep() -> Image.Image:
    return Image.fromarray(MASK.astype(np.uint16) * 257)


def _pngs(grey: Image.Image, photo: Image.Image) -> list[Picture]:
    palette = Image.fromarray(MASK // 255).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    exif = Image.Exif()
    exif[0x0112] = 8
    return [
        _saved(".png", grey, "png grey", is_mask=True, format="PNG"),
        _saved(".png", photo, "png colour", format="PNG"),
        _saved(".png", grey.convert("1"), "png 1 bit", is_mask=True, format="PNG"),
        _saved(".png", palette, "png palette", is_mask=True, format="PNG"),
        _saved(".png", grey.convert("RGBA"), "png rgba", is_mask=True, format="PNG"),
        _saved(".png", grey.convert("LA"), "png grey and alpha", is_mask=True, format="PNG"),
        _saved(".png", _deep(), "png 16 bit", is_mask=True, format="PNG"),
        _saved(".png", photo, "png turned by exif", format="PNG", exif=exif),
    ]


def _jpegs(grey: Image.Image, photo: Image.Image) -> list[Picture]:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "an image of nothing " * 20
    return [
        _saved(".jpg", grey, "jpeg grey", format="JPEG", quality=100),
        _saved(".jpg", photo, "jpeg", format="JPEG", quality=90),
        _saved(".jpeg", photo, "jpeg progressive", format="JPEG", progressive=True),
        _saved(".jpg", photo.convert("CMYK"), "jpeg cmyk", format="JPEG"),
        _saved(".jpg", photo, "jpeg turned by exif", format="JPEG", exif=exif),
    ]


def _bmps(grey: Image.Image, photo: Image.Image) -> list[Picture]:
    return [
        _saved(".bmp", grey, "bmp grey", is_mask=True, format="BMP"),
        _saved(".bmp", photo, "bmp", format="BMP"),
        _saved(".bmp", grey.convert("1"), "bmp 1 bit", is_mask=True, format="BMP"),
        _saved(".bmp", photo.convert("RGBA"), "bmp rgba", format="BMP"),
    ]


def _tiffs(grey: Image.Image, photo: Image.Image) -> list[Picture]:
    found = []
    for compression in (None, "tiff_lzw", "tiff_deflate", "packbits", "tiff_adobe_deflate"):
        for name, image in (("grey", grey), ("colour", photo), ("1 bit", grey.convert("1"))):
            what, is_mask = f"tiff {name} {compression or 'plain'}", image is not photo
            found.append(_saved(".tif", image, what, is_mask=is_mask, format="TIFF", compression=compression))
    for compression in ("group3", "group4"):
        image = grey.convert("1")
        found.append(_saved(".tif", image, f"tiff {compression}", is_mask=True, format="TIFF", compression=compression))
    done, by_opencv = cv2.imencode(".tiff", MASK)
    assert done
    return [
        *found,
        _saved(".tif", grey, "tiff grey jpeg", format="TIFF", compression="jpeg"),
        _saved(".tif", photo, "tiff colour jpeg", format="TIFF", compression="jpeg"),
        _saved(".tiff", _deep(), "tiff 16 bit", is_mask=True, format="TIFF"),
        _saved(".tiff", Image.fromarray(MASK.astype(np.float32)), "tiff float", format="TIFF"),
        _saved(".tiff", grey, "tiff of two pages", format="TIFF", save_all=True, append_images=[photo]),
        Picture(".tif", by_opencv.tobytes(), "tiff by OpenCV", is_mask=True),
    ]


def _others(grey: Image.Image, photo: Image.Image) -> list[Picture]:
    rgb = grey.convert("RGB")
    frames = {"save_all": True, "append_images": [rgb], "duration": 100}
    return [
        _saved(".webp", rgb, "webp lossless", is_mask=True, format="WEBP", lossless=True),
        _saved(".webp", photo, "webp lossy", format="WEBP", quality=80),
        _saved(".webp", photo.convert("RGBA"), "webp rgba", format="WEBP", lossless=True),
        _saved(".webp", photo, "webp animated", format="WEBP", **frames),
        _saved(".png", grey, "ppm in a png's name", format="PPM"),
        _saved(".png", grey, "gif in a png's name", format="GIF"),
        _saved(".png", photo, "jpeg 2000 in a png's name", format="JPEG2000"),
        _saved(".png", grey, "ico in a png's name", format="ICO"),
    ]


def crafted(rng: random.Random) -> Picture:
    """A header alone, that asks for much, or for nothing."""
    return rng.choice((_bmp, _tiff, _webp, _jpeg, _png))(rng, rng.choice(_SIZES), rng.choice(_SIZES))


def _bmp(rng: random.Random, width: int, height: int) -> Picture:
    head = struct.pack("<IHHI", rng.choice((54, 0, 10**6)), 0, 0, rng.choice((54, 0, 26, _LARGEST)))
    bits = rng.choice((1, 4, 8, 16, 24, 32, 0, 7, 64))
    sizes = struct.pack("<IIIHH", rng.choice((40, 12, 108, 124, 0, _LARGEST)), width, height, 1, bits)
    compression, colours = rng.choice((0, 1, 2, 3, 4, 5, 6, 11)), rng.choice((0, 256, _LARGEST))
    rest = struct.pack("<IIIIII", compression, 0, 2835, 2835, colours, 0)
    return Picture(".bmp", b"BM" + head + sizes + rest + rng.randbytes(rng.randint(0, 3000)), "crafted bmp")


def _tiff(rng: random.Random, width: int, height: int) -> Picture:
    """Tags as in TIFF 6.0, section 8; one in ten is missing, and of one in ten the type is another."""
    order = rng.choice("<>")
    many = rng.choice((1, 1000, 1 << 28, _LARGEST))
    wanted = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, rng.choice((1, 8, 16, 32, 64)))),
        *((259, 3, 1, rng.choice((1, 2, 5, 7, 8, 32773, 34712))), (262, 3, 1, rng.choice((0, 1, 2, 3, 6)))),
        *((273, 4, many, rng.choice((8, _LARGEST, 0))), (274, 3, 1, rng.randint(0, 9))),
        *((277, 3, 1, rng.choice((1, 3, 4, 65535))), (278, 4, 1, rng.choice((1, height, _LARGEST)))),
        (279, 4, many, rng.choice((10, 0, _LARGEST))),
    ]
    if rng.random() < 0.3:
        wanted += [(322, 4, 1, width), (323, 4, 1, height), (324, 4, 1, 8), (325, 4, 1, 16)]
    tags = []
    for tag, kind, count, value in wanted:
        if rng.random() < 0.1:
            continue
        kind = kind if rng.random() < 0.9 else rng.choice((0, 1, 2, 5, 12, 13, 16, 99))
        body = struct.pack(f"{order}HH", value & 0xFFFF, 0) if kind == 3 else struct.pack(f"{order}I", value)
        tags.append(struct.pack(f"{order}HHI", tag, kind, count) + body)
    version = 42 if rng.random() < 0.9 else 43
    start = struct.pack(f"{order}HI", version, rng.choice((8, 8, 8, 0, _LARGEST)))
    count = struct.pack(f"{order}H", rng.choice((len(tags), len(tags), 0, 65535)))
    end = struct.pack(f"{order}I", rng.choice((0, 8))) + rng.randbytes(rng.randint(0, 300))
    mark = b"II" if order == "<" else b"MM"
    return Picture(".tif", mark + start + count + b"".join(tags) + end, "crafted tiff")


def _webp(rng: random.Random, width: int, height: int) -> Picture:
    sizes = struct.pack("<I", width & 0xFFFFFF)[:3] + struct.pack("<I", height & 0xFFFFFF)[:3]
    body = rng.choice((b"VP8 ", b"VP8L", b"VP8X")) + struct.pack("<I", rng.choice((10, 0, _LARGEST)))
    body += bytes([rng.randrange(256), 0, 0, 0]) + sizes + rng.randbytes(rng.randint(0, 60))
    total = rng.choice((len(body) + 4, 0, 1, _LARGEST))
    return Picture(".webp", b"RIFF" + struct.pack("<I", total) + b"WEBP" + body, "crafted webp")


def _jpeg(rng: random.Random, width: int, height: int) -> Picture:
    marker = rng.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC9))
    frame = struct.pack(">HBHHB", 11, rng.choice((8, 12, 0)), height & 0xFFFF, width & 0xFFFF, 1) + b"\x01\x11\0"
    end = rng.randbytes(rng.randint(0, 100)) + rng.choice((b"", b"\xff\xd9"))
    return Picture(".jpg", b"\xff\xd8\xff" + bytes([marker]) + frame + end, "crafted jpeg")


def _png(rng: random.Random, width: int, height: int) -> Picture:
    kind = struct.pack(">BBBBB", rng.choice((1, 8, 16)), rng.choice((0, 2, 3, 4, 6)), 0, 0, rng.randrange(2))
    rows = compress(rng, bytes(rng.choice((0, 100, 1_000_000))))
    parts = (chunk(b"IHDR", struct.pack(">II", width, height) + kind), chunk(b"IDAT", rows), chunk(b"IEND"))
    return Picture(".png", SIGNATURE + b"".join(parts), "crafted png")
