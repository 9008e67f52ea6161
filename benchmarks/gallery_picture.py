"""Take the pictures that the README shows, in true colours: the embedded product's COCO labels, drawn and in Chromium.

Run: python -m benchmarks.gallery_picture docs/gallery.png --overlay docs/overlay.png
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from converters import convert
from converters.demo import run_demo
from converters.viewing.gallery_items import view
from toolkit import load_dataset, split_dataset, write_product

STATE = "subset=test&subset=val&instances=1-&sort=-area"


def main() -> None:
    """Write a PNG of the gallery, 1280 x 800 pixels, and if asked the sheet that `defectkit demo` draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--overlay", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.overlay is not None:
            shutil.copyfile(run_demo(Path(folder, "demo")).overlay, asked.overlay)
        write_product(Path(folder, "product"))
        dataset = load_dataset(Path(folder, "product"))
        split = split_dataset(dataset, "stratified", val=0.1, test=0.2, seed=0)
        convert(dataset, Path(folder, "labels"), ["coco"], split=split)
        report, _ = view(Path(folder, "labels/coco"), Path(folder, "gallery"))
        shot = _shoot(report.index)
    Image.open(io.BytesIO(shot)).convert("RGB").save(asked.file, optimize=True)
    print(f"{asked.file}: {asked.file.stat().st_size / 1e3:.0f} KB")


def _shoot(index: Path) -> bytes:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(f"{index.as_uri()}#{STATE}")
        page.wait_for_selector("#grid .layer-fill")
        page.wait_for_function(
            "[...document.querySelectorAll('#grid img')].every((img) => img.complete && !img.hidden)"
        )
        page.wait_for_timeout(300)
        shot = page.screenshot()
        browser.close()
    return shot


if __name__ == "__main__":
    main()
