"""One Chromium and one gallery for all tests of the page, and a page that must not complain."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from converters import convert
from tests.commands import PATIENCE, defectkit, save
from toolkit import load_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = (HOSTILE, 'deep "cut" & ümläut', "plain")
DAMAGED = f"part 1/test/{HOSTILE}/000"
CUT_SHORT = "part 1/test/plain/001"
WIDTH, HEIGHT, GOOD = 80, 60, 90

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Gallery:
    """A gallery of labels of which one was damaged on purpose.

    Attributes:
        index: its page.
        lost, gained: bool (H, W), what the damaged label lost and gained against its mask.
    """

    index: Path
    lost: Bools
    gained: Bools

    def address(self, state: str = "") -> str:
        return self.index.as_uri() + (f"#{state}" if state else "")


def _mask(number: int) -> Bools:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (30, 20 + number), (14, 9 + number), 25, 0, 360, 255, -1)
    mask[20, 28:31] = 0
    mask[50, 60 + number] = 255
    mask[51, 61 + number] = 255
    return mask > 0


def _write_dataset(root: Path) -> None:
    random = np.random.default_rng(5)
    for label in CLASSES:
        for number in range(3):
            picture = random.integers(60, 200, (HEIGHT, WIDTH), np.uint8)
            save(root / "part 1/test" / label / f"{number:03}.png", picture)
            mask = _mask(number).astype(np.uint8) * 255
            save(root / "part 1/ground_truth" / label / f"{number:03}_mask.png", mask)
    for number in range(GOOD):
        save(root / "part 1/train/good" / f"{number:03}.png", random.integers(60, 200, (HEIGHT, WIDTH), np.uint8))


def _damage(tree: Path) -> Bools:
    """Move the first polygon of the first image, drop its last annotation; what the file marks now, by pycocotools."""
    path = tree / "annotations/instances_test.json"
    document = json.loads(path.read_text())
    image = next(
        one for one in document["images"] if one["file_name"].endswith("%3E__000.png") or "000" in one["file_name"]
    )
    own = [one for one in document["annotations"] if one["image_id"] == image["id"]]
    own[0]["segmentation"] = [
        [value + 2 * (place % 2 == 0) for place, value in enumerate(ring)] for ring in own[0]["segmentation"]
    ]
    document["annotations"].remove(own[-1])
    path.write_text(json.dumps(document))
    marked = np.zeros((HEIGHT, WIDTH), np.bool_)
    for one in own[:-1]:
        for packed in coco_mask.frPyObjects(one["segmentation"], HEIGHT, WIDTH):
            marked |= coco_mask.decode(packed).astype(bool)
    return marked


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    home = tmp_path_factory.mktemp("browser")
    _write_dataset(home / "data")
    convert(load_dataset(home / "data"), home / "labels", ["coco"], images="copy")
    marked = _damage(home / "labels/coco")
    for image in (home / "labels/coco/images/test").glob("*plain__001.png"):
        image.write_bytes(image.read_bytes()[:200])
    done = defectkit("view", home / "labels/coco", "--out", home / "gallery", "--against", home / "data")
    assert done.status == 0, done.err
    mask = _mask(0)
    return Gallery(home / "gallery/index.html", mask & ~marked, marked & ~mask)


def find_chromium() -> str | None:
    """The browser to test with: the one that CHROMIUM names, or one on the PATH."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: install chromium, or name one by the environment variable CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        arguments = ["--in-process-gpu", "--disable-features=SpareRendererForSitePerProcess"]  # fewer processes a page
        if hasattr(os, "getuid") and os.getuid() == 0:  # whom Chromium refuses to sandbox
            arguments.append("--no-sandbox")
        running = driver.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


Opener = Callable[..., "Page"]


MEDIA = {"color_scheme": "light", "reduced_motion": "no-preference"}


class Window:
    """A page in a profile of its own, and what it complained of."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.context.set_default_timeout(1000 * PATIENCE)
        self.complaints = complaints = list[str]()
        self.page = page = self.context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        # What the browser itself gives up, as an icon when its page closes, is no fault of the page.
        page.on(
            "requestfailed",
            lambda request: request.failure == "net::ERR_ABORTED" or complaints.append(f"failed: {request.url}"),
        )
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "about:")) or complaints.append(f"request: {request.url}"),
        )

    def forget(self) -> None:
        """Leave nothing for the next test: neither what the page keeps nor what it complained of."""
        self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.page.goto("about:blank")
        self.page.emulate_media(**MEDIA)
        self.complaints.clear()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Window:
    """The window of most tests: a new one takes as long as many a test."""
    return Window(browser)


@pytest.fixture
def open_page(browser: Browser, window: Window, gallery: Gallery) -> Iterator[Opener]:
    """Opens the gallery at a state; at the end no page may have complained, or asked a network for anything."""
    opened: list[Window] = []

    def open_one(state: str = "", *, index: Path | None = None, **options: Any) -> Page:
        media = {name: options.pop(name) for name in MEDIA if name in options}
        opened.append(window if not opened and not options else Window(browser, **options))
        page = opened[-1].page
        page.emulate_media(**media)
        page.goto((index.as_uri() if index else gallery.index.as_uri()) + (f"#{state}" if state else ""))
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_one
    complaints = [complaint for one in opened for complaint in one.complaints]
    for one in opened:
        if one is window:
            one.forget()
        else:
            one.context.close()
    assert complaints == []
