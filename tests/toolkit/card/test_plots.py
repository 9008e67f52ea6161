"""The plots of a card, looked at by their pixels, and the letters that they can write."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.commands import ROOT, make_dataset, picture, save, stain
from toolkit import load_dataset, split_dataset
from toolkit.card import DatasetCard, describe_dataset
from toolkit.card.plots import PLOTS, draw_plots
from toolkit.plotting.fonts import printable

BLUE, ORANGE, DARKEST = (0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0x00, 0x22, 0x3A)


@pytest.fixture
def card(tmp_path: Path) -> DatasetCard:
    return describe_dataset(load_dataset(make_dataset(tmp_path / "data")))


def pixels(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def where(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray((picture == np.array(colour, np.uint8)).all(axis=2))


def settings() -> dict[str, object]:
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_a_report_can_take_them_as_they_are(card: DatasetCard) -> None:
    plots = draw_plots(card)
    assert list(plots) == list(PLOTS)
    for name, data in plots.items():
        image = Image.open(BytesIO(data))
        assert (image.format, image.width) == ("PNG", 1400), name
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_the_same_card_gives_the_same_bytes_whatever_a_program_has_set(card: DatasetCard) -> None:
    plots = draw_plots(card)
    before = settings()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}):
        theirs = settings()
        assert draw_plots(card) == plots
        assert settings() == theirs
    assert settings() == before
    assert all(b"tEXt" not in data and b"tIME" not in data for data in plots.values())


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom toolkit import load_dataset\nfrom toolkit.card import describe_dataset\n"
        "from toolkit.card.plots import draw_plots\n"
        "print(len(draw_plots(describe_dataset(load_dataset(sys.argv[1])))), 'matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(make_dataset(tmp_path / "data"))]
    assert subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout == "4 False\n"


def test_bars_are_as_long_as_subsets_are_large(tmp_path: Path) -> None:
    part = tmp_path / "part"
    for number in range(20):
        save(part / f"{'train' if number < 15 else 'test'}/good/{number}.png", picture(number))
    picture_of = pixels(draw_plots(describe_dataset(load_dataset(part)))["classes.png"])
    bars = picture_of[picture_of.shape[0] // 4 :]  # below the legend
    assert where(bars, BLUE).sum() / where(bars, ORANGE).sum() == pytest.approx(3, rel=0.02)


def test_nothing_marked_has_nothing_but_classes_to_show(tmp_path: Path) -> None:
    save(tmp_path / "part/train/good/0.png", picture(0))
    assert list(draw_plots(describe_dataset(load_dataset(tmp_path / "part")))) == ["classes.png"]


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_heat_map_stands_as_the_images_do(tmp_path: Path, corner: tuple[int, int]) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[corner[0] * 30 :, corner[1] * 40 :][:30, :40] = 255
    save(tmp_path / "part/test/dent/0.png", np.zeros_like(mask))
    save(tmp_path / "part/ground_truth/dent/0.png", mask)
    shown = pixels(draw_plots(describe_dataset(load_dataset(tmp_path / "part")))["heat_maps.png"])
    framed = np.flatnonzero((shown < 150).all(axis=2).mean(axis=1) > 0.8)  # the frame's upper and lower line
    assert framed.size
    inside = where(shown[framed.min() : framed.max()], DARKEST)
    rows, columns = np.nonzero(inside)
    assert (rows.mean() > inside.shape[0] / 2, columns.mean() > inside.shape[1] / 2) == (corner[0] == 1, corner[1] == 1)
    assert inside.mean() == pytest.approx(0.22, abs=0.03)  # a quarter, less margins


def test_many_classes_with_any_name_are_drawn(tmp_path: Path) -> None:
    names = [
        "<img src=x>",
        "$x^2$",
        "$",
        "a name " * 12,
        "划痕",
        "🦊",
        "größer als 5 µm",
        "خدش",
        "{}",
        "%d",
        "$\\frac$",
    ]
    few = draw_plots(describe_dataset(load_dataset(make_dataset(tmp_path / "few"))))
    for number, name in enumerate(names):
        save(tmp_path / "part/test" / name / "0.png", picture(number))
        save(tmp_path / "part/ground_truth" / name / "0.png", stain(number % 4))
    plots = draw_plots(describe_dataset(load_dataset(tmp_path / "part")))
    assert list(plots) == list(PLOTS)
    for name in ("classes.png", "areas.png", "heat_maps.png"):
        assert pixels(plots[name]).shape[0] > pixels(few[name]).shape[0]


def test_hundreds_of_classes_are_cut_to_those_that_can_be_read(tmp_path: Path) -> None:
    dataset = load_dataset(make_dataset(tmp_path / "data"))
    card = describe_dataset(dataset, split=split_dataset(dataset))
    object.__setattr__(card, "classes", {f"class {number}": number for number in range(300)})
    object.__setattr__(card, "measured", None)
    assert pixels(draw_plots(card)["classes.png"]).shape[0] < 5200


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("größer als 5 µm", "größer als 5 µm"),
        ("two\nlines\tand  more", "two lines and more"),
        ("царапина", "царапина"),
        ("\U000f1234 private", "\\U000f1234 private"),
        ("\ue123", "\\ue123"),
    ],
)
def test_letters_without_a_font_are_spelled_out(text: str, written: str) -> None:
    assert printable(text) == written
