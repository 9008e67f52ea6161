"""Brush run lengths, against Label Studio's own rules."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.formats.label_studio.brush import decode_brush, encode_brush
from tests.converters.formats.label_studio.judge import Bools, decode_rle, encode_rle
from tests.masks import SHAPES, masks
from toolkit.geometry.instances import crop_to_bbox


def whole(rle: bytes, size: tuple[int, int]) -> Bools:
    """What run lengths mark of an image of `size` (width, height)."""
    mask, (x, y) = decode_brush(rle, *size)
    canvas = np.zeros((size[1], size[0]), bool)
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return canvas


@settings(max_examples=60, deadline=None)
@given(mask=masks(), offset=st.sampled_from([(0, 0), (3, 1)]), right=st.integers(0, 3))
def test_any_mask_comes_back_by_both_decoders(mask: Bools, offset: tuple[int, int], right: int) -> None:
    height, width = mask.shape[0] + offset[1] + 2, mask.shape[1] + offset[0] + right
    canvas = np.zeros((height, width), bool)
    canvas[offset[1] : offset[1] + mask.shape[0], offset[0] : offset[0] + mask.shape[1]] = mask
    found = crop_to_bbox(canvas, "a")
    rle = encode_brush(canvas, (0, 0), width, height)
    assert list(rle) == encode_rle(np.repeat(canvas.ravel() * 255, 4).tolist())
    assert np.array_equal(decode_rle(rle).reshape(height, width, 4)[..., 3] > 0, canvas)
    assert np.array_equal(whole(rle, (width, height)), canvas)
    if found is not None and found.mask is not None:
        assert encode_brush(found.mask, found.window[:2], width, height) == rle


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_come_back(name: str) -> None:
    mask = SHAPES[name]
    rle = encode_brush(mask, (0, 0), mask.shape[1], mask.shape[0])
    assert np.array_equal(decode_rle(rle).reshape(*mask.shape, 4)[..., 3] > 0, mask)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), width=st.integers(1, 9), height=st.integers(1, 9))
def test_any_buffer_is_read_by_its_alpha(data: st.DataObject, width: int, height: int) -> None:
    """Colours and soft edges, as Label Studio's canvas has them."""
    value = st.sampled_from([0, 0, 0, 1, 128, 255])
    values = data.draw(st.lists(value, min_size=width * height * 4, max_size=width * height * 4))
    truth = np.array(values).reshape(height, width, 4)[..., 3] > 0
    assert np.array_equal(whole(bytes(encode_rle(values)), (width, height)), truth)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.sampled_from([0, 0, 7]), min_size=24, max_size=24), most=st.integers(1, 5))
def test_values_of_their_own_may_follow_each_other(values: list[int], most: int) -> None:
    """The browser's packer puts up to as many as a length says into one packet."""
    bits = f"{24:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    for start in range(0, 24, most):
        part = values[start : start + most]
        bits += f"000{len(part) - 1:03b}" + "".join(f"{one:08b}" for one in part)
    bits += "0" * (-len(bits) % 8)
    rle = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    assert decode_rle(rle).tolist() == values
    assert np.array_equal(whole(rle, (3, 2)), np.array(values).reshape(2, 3, 4)[..., 3] > 0)


def test_long_runs_are_split_as_label_studio_splits_them() -> None:
    mask = np.ones((200, 400), bool)
    rle = encode_brush(mask, (0, 0), 400, 200)
    assert list(rle) == encode_rle([255] * 320_000)
    assert whole(rle, (400, 200)).all()


def header(values: int, word: int = 8) -> str:
    return f"{values:032b}{word - 1:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))


def packed(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int("".join(part), 2) for part in (bits[at : at + 8] for at in range(0, len(bits), 8)))


@pytest.mark.parametrize(
    ("rle", "problem"),
    [
        (b"", "run lengths that are cut short"),
        (packed(header(24)), "run lengths that are cut short"),
        (packed(header(24) + "100" + "111" + f"{255:08b}"), "run lengths that are cut short"),
        (
            packed(header(20) + "110" + f"{19:08b}" + f"{255:08b}"),
            "run lengths of 20 values, and the image has 3 x 2 x 4",
        ),
        (packed(header(24, 16) + "110" + f"{23:08b}" + f"{255:016b}"), "run lengths of values of 16 bits, and not 8"),
        (packed(header(24) + "110" + f"{24:08b}" + f"{255:08b}"), "run lengths that hold more values than they say"),
        (packed(header(24) + "010" + f"{23:08b}" + f"{255:08b}"), "run lengths that are cut short"),
    ],
)
def test_damaged_run_lengths_are_refused(rle: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode_brush(rle, 3, 2)


def test_a_small_text_asks_for_no_large_memory() -> None:
    """4 GB are claimed by a few bytes."""
    with pytest.raises(ValueError, match="cut short"):
        decode_brush(packed(header(4 * 30_000 * 30_000) + "1" * 200), 30_000, 30_000)


def test_the_judge_packs_as_it_reads() -> None:
    values = [0, 0, 9, 255, 255, 255, 0, 1] * 9
    assert decode_rle(encode_rle(values)).tolist() == values
    assert [len([*run]) for _, run in groupby(values)][:3] == [2, 1, 3]
