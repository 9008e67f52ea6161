"""The gallery's page in a real browser, opened from the disk."""

from __future__ import annotations

import io
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import CLASSES, CUT_SHORT, DAMAGED, GOOD, HEIGHT, HOSTILE, WIDTH, Gallery, Opener
from toolkit.dataset.suspects import Suspect
from toolkit.gallery import GalleryItem, GalleryPage, Shown, Words, build_gallery
from toolkit.geometry.labels import Instance, LabelledImage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = 9 + GOOD
LAYERS = {"f": "fill", "o": "outline", "b": "box", "r": "oriented", "s": "source", "d": "difference"}


def counts(page: Page) -> str:
    return page.inner_text("#counts")


def keys(page: Page) -> list[str]:
    """Keys of the tiles in the page, in their order."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#grid li')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
        ".map((item) => item.querySelector('button').title)"
    )
    return found


def open_view(open_page: Opener, key: str = DAMAGED, **more: Any) -> Page:
    state = {name: value for name, value in more.items() if isinstance(value, str)}
    page = open_page(urlencode({"open": key, **state}))
    page.wait_for_selector("#viewer[open][data-ready]")
    return page


def await_true(page: Page, condition: str, value: object = None) -> bool:
    """Whether a condition comes true; events follow some changes in tasks of their own."""
    for _ in range(20 * 60):
        if page.evaluate(condition, value):
            return True
        page.wait_for_timeout(50)
    return False


def is_focused(page: Page, key: str) -> bool:
    """Whether a tile has the focus, or gets it."""
    return await_true(page, "key => document.activeElement.title === key", key)


def opened_key(page: Page) -> str | None:
    title: str | None = page.evaluate(
        "document.getElementById('viewer').open ? document.getElementById('viewer-title').title : null"
    )
    return title


def test_opens_and_says_how_much_is_shown(open_page: Opener) -> None:
    page = open_page()
    assert page.title() == "labels/coco: coco labels"
    assert counts(page) == f"Showing {IMAGES} of {IMAGES} images, 17 of 17 instances"
    page.wait_for_selector("#grid .layer-fill")


def test_only_what_is_near_the_window_is_in_the_page(open_page: Opener) -> None:
    page = open_page()
    assert len(keys(page)) < 40
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector(f"#grid li[aria-posinset='{IMAGES}']")
    assert len(keys(page)) < 40
    assert keys(page)[-1] == f"part 1/train/good/{GOOD - 1:03}"


FILTERED = {
    "class": (urlencode({"class": HOSTILE}), 3),
    "two classes": (urlencode([("class", name) for name in CLASSES[:2]]), 6),
    "good": ("class=good", GOOD),
    "subset": ("subset=train", GOOD),
    "subset and class": (urlencode({"class": HOSTILE, "subset": "train"}), 0),
    "product": (urlencode({"product": "part 1"}), IMAGES),
    "instances": ("instances=2-", 8),
    "no instance": ("instances=-0", GOOD),
    "area": ("area=1-450", 3),
    "problem": ("problem=1", 1),
    "differs": ("inexact=1", 1),
    "search": ("search=GOOD/08", 10),
    "search of two words": ("search=plain+001", 1),
}


def test_filters(open_page: Opener) -> None:
    page = open_page()
    for name, (state, images) in FILTERED.items():
        page.evaluate("state => { location.hash = state; }", state)
        wanted = f"Showing {images} of {IMAGES} images"
        said = "wanted => document.getElementById('counts').textContent.startsWith(wanted)"
        assert await_true(page, said, wanted), (name, counts(page))
        assert page.is_visible("#nothing") == (images == 0)


def test_filters_by_hand_and_clears(open_page: Opener) -> None:
    page = open_page()
    page.get_by_label(re.compile("^plain")).first.check()
    assert counts(page).startswith("Showing 3 of")
    page.fill("#search", "001")
    assert keys(page) == [CUT_SHORT]
    page.click("#clear")
    assert counts(page).startswith(f"Showing {IMAGES} of")
    page.get_by_label("Instances: from").fill("1")
    assert counts(page).startswith("Showing 9 of")
    page.get_by_label("With a problem").check()
    assert keys(page) == [CUT_SHORT]
    assert page.inner_text("#grid .problem-text").count("truncated")


def test_each_choice_says_how_many_it_would_show(open_page: Opener) -> None:
    page = open_page(urlencode({"subset": "test", "search": "001"}))
    amounts = page.eval_on_selector_all("#filters .options", "all => all.map((one) => one.innerText.split(/\\n+/))")
    assert [texts[1::2] for texts in amounts] == [["1", "1", "1", "0"], ["1", "3"], ["3", "0", "0", "0", "0"]]


def test_sorts(open_page: Opener) -> None:
    page = open_page()
    page.select_option("#sort", "iou")
    assert keys(page)[0] == DAMAGED
    page.select_option("#sort", "-area")
    assert keys(page)[0].endswith("/002")
    page.select_option("#sort", "area")
    assert "/good/" in keys(page)[0]
    page.select_option("#sort", "key")
    assert keys(page)[0] == DAMAGED


def test_labels_of_a_model_begin_with_the_most_doubtful(open_page: Opener, tmp_path: Path) -> None:
    found = Instance("dent", (4, 4, 7, 6), np.ones((2, 3), np.bool_), 6)
    items = []
    for name, scores, doubt in (("nothing", (), 0.4), ("sure", (0.98,), 0.05), ("unsure", (0.55,), 0.9)):
        image = LabelledImage(f"part/test/{name}", None, 20, 16, (found,) * len(scores), "train")
        load = partial(Shown, image, scores=scores, doubt=doubt)
        items.append(GalleryItem(image.key, "train", "part", "dent", None, name, load, lambda: 1))
    build_gallery(items, tmp_path / "gallery", GalleryPage(Words("parts", "labels"), ("dent",), "pixels"))
    page = open_page(index=tmp_path / "gallery/index.html")
    assert page.input_value("#sort") == "doubt"
    assert [key.rsplit("/", 1)[-1] for key in keys(page)] == ["unsure", "nothing", "sure"]
    assert page.inner_text("#grid li[aria-posinset='1'] .badge") == "doubt 0.90"
    page.select_option("#sort", "key")
    assert [key.rsplit("/", 1)[-1] for key in keys(page)] == ["nothing", "sure", "unsure"]
    page.click("#grid li[aria-posinset='3'] button")
    page.wait_for_selector("#viewer[open][data-ready]")
    assert "score 0.55, 6 px" in page.inner_text("#info .instances")
    assert "0.90" in page.inner_text("#info dl")


def test_suspicious_labels_come_first_and_say_why(open_page: Opener, tmp_path: Path) -> None:
    items = []
    for name, score, suggested in (("clear", 0.1, "dent"), ("odd", 0.93, "good"), ("unknown", None, "")):
        image = LabelledImage(f"part/test/{name}", None, 20, 16, (), "train", "dent", "class")
        told = None if score is None else Suspect(image.key, "dent", suggested, score, "it looks <good>")
        item = GalleryItem(image.key, "train", "part", "dent", None, name, partial(Shown, image), lambda: 1, told)
        items.append(item)
    build_gallery(items, tmp_path / "gallery", GalleryPage(Words("parts", "labels"), ("dent",), "pixels"))
    page = open_page(index=tmp_path / "gallery/index.html")
    assert page.input_value("#sort") == "suspect"
    assert [key.rsplit("/", 1)[-1] for key in keys(page)] == ["odd", "clear", "unknown"]
    assert page.inner_text("#grid li[aria-posinset='1'] .badge") == "suspect 0.93"
    assert page.locator("#grid .badge:visible").count() == 1
    page.check("#filters input[name=suspect]")
    assert await_true(page, "document.querySelectorAll('#grid li').length === 1")
    assert [key.rsplit("/", 1)[-1] for key in keys(page)] == ["odd"]
    assert await_true(page, "location.hash.includes('suspect=1')")
    page.click("#grid li[aria-posinset='1'] button")
    page.wait_for_selector("#viewer[open][data-ready]")
    assert "0.93: it looks <good>" in page.inner_text("#info dl")
    assert "Suggested" in page.inner_text("#info dl")


def test_labels_of_people_have_no_doubt(open_page: Opener) -> None:
    page = open_page()
    assert page.locator("#sort option[value=doubt]").count() == 0
    assert page.locator("#grid .badge", has_text="doubt").count() == 0


def test_toggles_each_layer(open_page: Opener) -> None:
    page = open_view(open_page, layers="n")
    for letter, layer in LAYERS.items():
        mark = page.locator(f"#stage .layer-{layer}").first
        assert not mark.is_visible(), layer
        page.keyboard.press(letter)
        assert mark.is_visible(), layer
        page.click(f"#viewer-layers [data-layer={layer}]")
        assert not mark.is_visible(), layer


def test_toggles_class_names(open_page: Opener) -> None:
    page = open_view(open_page)
    assert page.is_visible(".stage-name")
    page.keyboard.press("n")
    assert not page.is_visible(".stage-name")


def test_layers_on_tiles_follow(open_page: Opener) -> None:
    page = open_page()
    page.wait_for_selector("#grid .layer-fill")
    page.keyboard.press("f")
    assert not page.is_visible("#grid .layer-fill")
    assert page.get_attribute("#grid-layers [data-layer=fill]", "aria-pressed") == "false"


def test_zooms_to_single_pixels_and_says_which(open_page: Opener) -> None:
    page = open_view(open_page, zoom="20", x="40", y="30")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 50, box["y"] + box["height"] / 2 - 30)
    assert page.inner_text("#pointer") == "x 42, y 28"
    page.mouse.wheel(0, -100)
    assert page.inner_text("#pointer") == "x 42, y 28"
    zoom = int(page.inner_text("#zoom").removesuffix("%"))
    assert zoom > 2000
    page.keyboard.press("-")
    assert int(page.inner_text("#zoom").removesuffix("%")) < zoom
    page.keyboard.press("0")
    page.keyboard.press("1")
    assert page.inner_text("#zoom") == "100%"


def test_drags_and_moves_by_keyboard(open_page: Opener) -> None:
    page = open_view(open_page, zoom="20", x="40", y="30")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2 + 10, box["y"] + box["height"] / 2 + 10)
    page.mouse.move(*middle)
    assert page.inner_text("#pointer") == "x 40, y 30"
    page.mouse.down()
    page.mouse.move(middle[0] + 100, middle[1] + 60)
    page.mouse.up()
    assert page.inner_text("#pointer") == "x 40, y 30"
    page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#pointer") == "middle: x 39, y 27"


def test_walks_by_keyboard(open_page: Opener) -> None:
    page = open_page()
    page.keyboard.press("ArrowRight")
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    assert is_focused(page, f"part 1/test/{HOSTILE}/001")
    page.keyboard.press("Enter")
    assert opened_key(page) == f"part 1/test/{HOSTILE}/001"
    page.keyboard.press("ArrowRight")
    assert opened_key(page) == f"part 1/test/{HOSTILE}/002"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert opened_key(page) == DAMAGED
    page.keyboard.press("Escape")
    assert opened_key(page) is None
    assert is_focused(page, DAMAGED)
    page.keyboard.press("End")
    assert is_focused(page, f"part 1/train/good/{GOOD - 1:03}")
    page.keyboard.press("?")
    assert page.is_visible("#help")


def test_restores_what_is_seen_from_the_address(open_page: Opener) -> None:
    page = open_page()
    page.get_by_label(re.compile("^plain")).first.check()
    page.select_option("#sort", "-area")
    page.keyboard.press("Escape")
    page.locator("#grid button").nth(1).click()
    page.wait_for_selector("#viewer[data-ready]")
    for key in ("b", "f", "+", "+"):
        page.keyboard.press(key)
    assert await_true(page, "location.hash.includes('zoom=')")
    place = "new URLSearchParams(location.hash.slice(1)).get('x')"
    before = page.evaluate(place)
    page.keyboard.press("Shift+ArrowRight")
    assert await_true(page, f"before => {place} !== before", before)  # with all that changed before it
    seen = """[
        location.hash,
        document.getElementById('viewer-title').title,
        document.querySelector('#stage g').getAttribute('transform'),
        [...document.body.classList].sort(),
        document.getElementById('counts').textContent,
    ]"""
    first = page.evaluate(seen)
    again = open_page(first[0].removeprefix("#"))
    again.wait_for_selector("#viewer[data-ready]")
    assert again.evaluate(seen) == first
    assert "with-box" in first[3]
    assert "with-fill" not in first[3]


def test_back_closes_the_full_view(open_page: Opener) -> None:
    page = open_page()
    page.locator("#grid button").first.click()
    assert opened_key(page) == DAMAGED
    page.go_back()
    page.wait_for_selector("#viewer:not([open])", state="attached")


def test_text_from_files_is_text(open_page: Opener) -> None:
    page = open_view(open_page)
    assert page.locator("img[src='x']").count() == 0
    assert page.inner_text(".stage-name") == HOSTILE
    assert HOSTILE in page.inner_text("#info")
    assert HOSTILE in page.inner_text("#filters")


def test_the_policy_lets_no_inline_script_run(open_page: Opener, browser: Browser, gallery: Gallery) -> None:
    page = browser.new_page()
    page.goto(gallery.address())
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<b onclick=\"window.ran = 1\" id=b>b</b>'); b.click();"
    )
    assert page.evaluate("window.ran") is None
    page.close()


def shown_difference(page: Page, name: str) -> np.ndarray[Any, Any]:
    """Pixels of the picture that a path of the difference layer covers, asked of the browser: bool (H, W)."""
    inside = page.evaluate(
        """([name, width, height]) => {
            const path = document.querySelector(`#stage .${name}`);
            const found = [];
            for (let y = 0; y < height; y++) for (let x = 0; x < width; x++)
              found.push(path.isPointInFill(new DOMPoint(x + 0.5, y + 0.5)));
            return found;
        }""",
        [name, WIDTH, HEIGHT],
    )
    return np.array(inside, bool).reshape(HEIGHT, WIDTH)


def test_difference_is_exactly_the_damaged_pixels(open_page: Opener, gallery: Gallery) -> None:
    page = open_view(open_page)
    assert gallery.lost.sum() > 20
    assert gallery.gained.sum() > 20
    assert np.array_equal(shown_difference(page, "lost"), gallery.lost)
    assert np.array_equal(shown_difference(page, "gained"), gallery.gained)
    told = page.inner_text("#info")
    assert f"{gallery.lost.sum()} pixels" in told
    assert f"{gallery.gained.sum()} pixels" in told


def test_difference_as_painted(open_page: Opener, gallery: Gallery) -> None:
    """The picture is grey, so that what is coloured on the screen is the difference; each pixel is 8 x 8 there."""
    page = open_view(open_page, layers="d", zoom="8", x="40", y="30")
    page.wait_for_function("document.querySelectorAll('#stage image').length === 1")
    corner = page.evaluate(
        "(() => { const m = document.querySelector('#stage g').getScreenCTM(); return [m.e, m.f]; })()"
    )
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    left, top = (round(value) for value in corner)
    seen = np.asarray(shot, np.int16)[top : top + 8 * HEIGHT, left : left + 8 * WIDTH]
    coloured = np.ptp(seen, axis=2) > 30
    whole = coloured.reshape(HEIGHT, 8, WIDTH, 8).all(axis=(1, 3))
    partly = coloured.reshape(HEIGHT, 8, WIDTH, 8).any(axis=(1, 3))
    assert np.array_equal(whole, gallery.lost | gallery.gained)
    assert np.array_equal(partly, whole)


def test_data_that_is_no_longer_seen_is_forgotten(open_page: Opener) -> None:
    page = open_view(open_page)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert await_true(page, "defectkit.detailShelf.waiting.size === 0")
    assert page.evaluate("defectkit.detailShelf.held.size") == 8
    assert await_true(page, "document.querySelectorAll('head script[src^=\"data/images\"]').length === 0")


def test_fits_a_phone(open_page: Opener) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not page.is_visible("#filters")
    page.click("#show-filters")
    assert page.is_visible("#filters")
    page.click("#show-filters")
    page.locator("#grid button").first.tap()
    page.wait_for_selector("#viewer[data-ready]")
    assert page.evaluate("document.getElementById('viewer').scrollWidth") <= 360
    page.click("#show-info")
    assert page.is_visible("#info")


AXE = "tests/browser/node_modules/axe-core/axe.min.js"
AXE_STATES = {"grid": "", "help": "?", "full view": urlencode({"open": DAMAGED, "layers": "fobnd"})}


def serious_faults(page: Page, home: Path) -> list[tuple[str, list[str]]]:
    """What axe-core finds serious in a page."""
    axe = home / AXE
    if not axe.is_file():
        pytest.skip("needs axe-core: npm ci in tests/browser")
    page.evaluate(axe.read_text())
    found = page.evaluate("axe.run({ preload: false })")
    assert len(found["passes"]) > 10
    return [
        (fault["id"], [node["html"][:160] for node in fault["nodes"]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", AXE_STATES.values(), ids=AXE_STATES)
def test_axe_finds_no_serious_fault(open_page: Opener, scheme: str, state: str, pytestconfig: pytest.Config) -> None:
    page = open_page("" if state == "?" else state, color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector("#viewer[data-ready]" if "open" in state else "#grid .layer-fill")
    if state == "?":
        page.keyboard.press("?")
    assert serious_faults(page, pytestconfig.rootpath) == []
