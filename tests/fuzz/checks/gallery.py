"""Every text that comes from files, as HTML and script, in galleries and cards: opened in a browser, nothing runs.

Without Chromium and playwright the pages are written, and not opened. Chromium does not start where address space is
limited (`ulimit -v`).
"""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from converters import view
from tests.browser.conftest import find_chromium
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.hostile_pages import HOSTILE_ROOTS, PAYLOADS
from tests.fuzz.striking import defectkit

_NAMES = tuple(HOSTILE_ROOTS)
_KEYS = ("Enter", "m", "o", "b", "d", "ArrowRight", "ArrowRight", "?", "Escape", "Escape")
_FRAGMENTS = (
    *(f"#{PAYLOADS[0]}", f"#image={PAYLOADS[1]}", f"#q={PAYLOADS[3]}", "#view=0&image=0"),
    f"#class={PAYLOADS[0]}&subset={PAYLOADS[3]}",
)
_ODD = 'img[src="x"], svg[onload], iframe, [onerror], [onmouseover], script:not([src]):not([type])'


def _markdown(card: Path) -> Path:
    """The card as a page, as a viewer of Markdown shows it."""
    from markdown_it import MarkdownIt

    page = card.with_suffix(".html")
    text = MarkdownIt("commonmark").enable("table").render(card.read_text(encoding="utf-8"))
    page.write_text(f"<meta charset=utf-8>{text}", encoding="utf-8")
    return page


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    name = _NAMES[judge.number]
    folder = home / str(judge.number)
    root = HOSTILE_ROOTS[name](folder)
    judge.run(lambda: view(root, folder / "gallery"), f"view: {name}")
    for command, out in (("view", "gallery-by-command"), ("describe", "card")):
        words = (command, root, "--out", folder / out)
        ended = judge.run(partial(defectkit, home, *words), f"{command}: {name}").value
        if ended.status not in (0, 2) or "Traceback" in ended.err:
            judge.find(f"{command} of {name}: exit status {ended.status}", ended.err[-600:])
    pages = [path for path in [folder / "gallery/index.html"] if path.exists()]
    pages += [_markdown(path) for path in [folder / "card/card.md"] if path.exists()]
    _open(judge, name, pages)
    shutil.rmtree(folder)


def _open(judge: Judge, name: str, pages: list[Path]) -> None:
    program = find_chromium()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        program = None
    if program is None:
        judge.outcomes["not opened"] += len(pages)
        return
    with sync_playwright() as play:
        try:
            arguments = ["--no-sandbox", "--allow-file-access-from-files"]
            browser = play.chromium.launch(executable_path=program, args=arguments)
        except Error:  # no room in a limited address space
            judge.outcomes["not opened"] += len(pages)
            return
        for place in pages:
            for fault in _faults(browser, place):
                judge.find(f"{fault.split(':')[0]}: {place.stem} of {name}", fault)
            judge.outcomes["opened"] += 1
        browser.close()


def _faults(browser: Any, place: Path) -> list[str]:
    """What a page does that it should not."""
    page = browser.new_page()
    dialogs: list[str] = []
    asked: list[str] = []
    errors: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(place.as_uri())
    page.wait_for_timeout(300)
    ran = page.evaluate("window.PWNED || 0")
    odd = page.evaluate(f"document.querySelectorAll({_ODD!r}).length")
    if place.name == "index.html":
        ran, odd = _walk(page, place, ran, odd)
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:")) or url.endswith("/x")]
    page.close()
    faults = {"a script out of a file runs": ran or dialogs, "elements out of a file": odd, "requests": outside}
    faults["errors on the page"] = errors
    return [f"{fault}: {seen}" for fault, seen in faults.items() if seen]


def _walk(page: Any, place: Path, ran: int, odd: int) -> tuple[int, int]:
    """Use the gallery's keys, addresses with hostile texts, and every page of it."""
    others = [*place.parent.glob("sheets/*.html"), *place.parent.glob("*.html")]
    for key in _KEYS:
        page.keyboard.press(key)
        page.wait_for_timeout(30)
    for address in [*(place.as_uri() + fragment for fragment in _FRAGMENTS), *(other.as_uri() for other in others)]:
        page.goto(address)
        page.reload()
        page.wait_for_timeout(100)
        ran = ran or page.evaluate("window.PWNED || 0")
        odd = odd or page.evaluate(f"document.querySelectorAll({_ODD!r}).length")
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(20)
    return ran or page.evaluate("window.PWNED || 0"), odd


CHECK = Check(count=len(_NAMES), prepare=lambda home: home, attempt=attempt, cases=_NAMES, memory=0)
