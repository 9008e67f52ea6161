"""Text and tables as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

__all__ = ["Rows", "markdown_table", "markdown_text"]


Rows = list[list[str]]


def markdown_table(header: Sequence[str], rows: Rows, texts: int) -> str:
    """A table as Markdown; the first `texts` columns are text, the others are numbers."""
    lines = [header, [":--" if index < texts else "--:" for index in range(len(header))]]
    lines += [[markdown_text(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is; an underscore inside a word needs no help."""
    plain = " ".join(text.split())
    plain = re.sub(r"([\\`*\[\]|~$#])|(?<![^\W_])_|_(?![^\W_])", lambda match: "\\" + match[0], plain)
    return html.escape(plain, quote=False)
