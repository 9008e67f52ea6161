"""How long a gallery takes to build, how large it is, and how fast its page opens and answers in Chromium.

Run: python -m benchmarks.gallery [--images 500,5000] [--workers N] [--json FILE]

The images are links to a few of the embedded product's, a tenth of them good; their labels are COCO polygons, which are
compared with the masks. The page is opened from the disk by a Chromium without a window: the one that the environment
variable CHROMIUM names, or `chromium` on the PATH. Each figure of the page is the median of several openings; the heap
is measured after a collection, at first and when all images have been scrolled through.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.timing import environment
from converters import convert
from converters.viewing.gallery_items import view
from toolkit import load_dataset, write_product
from toolkit.synthetic.product import PRODUCT_DEFECTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPENINGS = 5

# From the click to the frame in which the new tiles stand.
_FILTER = """() => new Promise((resolve) => {
  const box = document.querySelector("#filters input[name=class]");
  const started = performance.now();
  box.click();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
})"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="500,5000")
    parser.add_argument("--image-size", type=int, default=512, help="side of the images in pixels")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    sizes = [int(number) for number in arguments.images.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        source = write_product(Path(folder, "source"), image_size=arguments.image_size, per_class=8, train_good=8)
        figures = [_measure(source, Path(folder, str(size)), size, arguments.workers) for size in sizes]
    print(environment("opencv-python", "playwright"))
    print(f"{arguments.image_size} x {arguments.image_size} pixels, {arguments.workers} workers\n")
    names = list(figures[0])
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in figures:
        print(
            f"| {' | '.join(f'{value:,.1f}' if isinstance(value, float) else f'{value:,}' for value in row.values())} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _measure(source: Path, home: Path, images: int, workers: int) -> dict[str, float]:
    _link(source, home / "data/zipper", images)
    convert(load_dataset(home / "data", follow_links=True), home / "labels", ["coco"], workers=workers)
    started = time.perf_counter()
    report, _ = view(home / "labels/coco", home / "gallery", workers=workers)
    seconds = time.perf_counter() - started
    gallery = home / "gallery"
    opened = [gallery / "index.html", gallery / "data/index.js", *(gallery / "assets").iterdir()]
    rest = [path for name in ("thumbs", "data") for path in (gallery / name).rglob("*") if path.is_file()]
    return {
        "images": images,
        "instances": report.instances,
        "build, ms per image": seconds / images * 1e3,
        "loaded at first, KB": sum(path.stat().st_size for path in opened) / 1e3,
        "thumbnails and paths, KB per image": sum(path.stat().st_size for path in rest) / images / 1e3,
        **_open(gallery / "index.html"),
    }


def _link(source: Path, root: Path, images: int) -> None:
    """Fill `root` with links: nine defects and one good image by turns."""
    for number in range(images):
        name = f"{number:06}.png"
        defect = PRODUCT_DEFECTS[number % len(PRODUCT_DEFECTS)]
        one = f"{number // len(PRODUCT_DEFECTS) % 8:03}"
        pairs = {root / "test" / defect / name: source / "test" / defect / f"{one}.png"}
        mask = source / "ground_truth" / defect / f"{one}_mask.png"
        pairs[root / "ground_truth" / defect / f"{number:06}_mask.png"] = mask
        if number % 10 == 0:
            pairs = {root / "train/good" / name: source / "train/good" / f"{one}.png"}
        for link, target in pairs.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def _open(index: Path) -> dict[str, float]:
    """Times of a few openings, and the heap of the last."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    found: list[dict[str, float]] = []
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        for number in range(OPENINGS):
            found.append(_opening(browser, index, walk=number == OPENINGS - 1))
        browser.close()
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {**medians, **found[-1], **{name: medians[name] for name in medians if name.endswith("ms")}}


def _opening(browser: Browser, index: Path, *, walk: bool) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(index.as_uri())
    page.wait_for_selector("#grid .layer-fill")
    page.wait_for_function(_PAINT)
    times = {
        "first paint, ms": float(page.evaluate(_PAINT)),
        "filter, ms": float(page.evaluate(_FILTER)),
    }
    page.evaluate(_FILTER)
    if walk:
        times["heap, MB"] = _heap(page)
        height = page.evaluate("document.body.scrollHeight")
        for top in range(0, height, 700):
            page.evaluate(f"window.scrollTo(0, {top})")
            page.wait_for_timeout(40)
        times["heap at the end, MB"] = _heap(page)
        times["tiles in the page"] = page.locator("#grid li").count()
    page.close()
    return times


def _heap(page: Page) -> float:
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1e6


if __name__ == "__main__":
    main()
