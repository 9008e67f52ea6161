"""What the site takes from outside of docs/: README as its first page, and the files that pages link to.

MkDocs knows only what is in its folder, but links have to lead somewhere in a checkout as well.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = "README.md"
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)((?:#[^)\s]*)?)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the first page and what else the pages link to."""
    pages = {FIRST: (ROOT / FIRST).read_text(encoding="utf-8")}
    pages |= {f"docs/{file.src_uri}": file.content_string for file in files if file.src_uri.endswith(".md")}
    pages["CONTRIBUTING.md"] = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    wanted = {
        found
        for page, text in pages.items()
        for target, _ in LINK.findall(text)
        if not (found := _place(page, target)).startswith("docs/") and found != FIRST
    }
    files.append(File.generated(config, "index.md", content=_rewritten(FIRST, pages[FIRST])))
    for place in sorted(wanted | {"CONTRIBUTING.md"}):
        if place.endswith(".md"):
            text = _rewritten(place, (ROOT / place).read_text(encoding="utf-8"))
            files.append(File.generated(config, place, content=text))
        else:
            files.append(File.generated(config, place, content=(ROOT / place).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of the pages in docs/ as the site has them."""
    if page.file.generated_by is not None:
        return markdown
    return _rewritten(f"docs/{page.file.src_uri}", markdown)


def _place(page: str, target: str) -> str:
    """Where a link of a page leads, from the root of the project."""
    return (ROOT / page).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()


def _rewritten(page: str, text: str) -> str:
    def moved(found: re.Match[str]) -> str:
        place = _place(page, found[1])
        return f"]({'index.md' if place == FIRST else place.removeprefix('docs/')}{found[2]})"

    return LINK.sub(moved, text)
