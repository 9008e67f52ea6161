"""A dataset card in words and tables: a summary, tables for a terminal, Markdown for a report, HTML for a notebook."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toolkit.card.distributions import Balance, Distribution
from toolkit.geometry.labels import GOOD

if TYPE_CHECKING:
    from toolkit.card.card import DatasetCard

__all__ = ["card_html", "card_markdown", "listed", "markdown_table", "markdown_text", "print_card", "summarise"]

Rows = list[list[str]]

_SHOWN = 20  # problems, or sets of duplicates, in a terminal and in Markdown; JSON has all
_NAMED = 6  # classes named in a sentence
_WIDTH = 100  # columns of a paragraph in a terminal
_PRODUCT_COLUMNS = 2  # products from which a table shows them


def summarise(card: DatasetCard) -> str:
    """A paragraph on a card: classes, images, subsets, evenness, sizes, what is marked, and what is at fault."""
    facts = [_classes(card), _number(card.images, "image"), *(f"{n} {c}" for n, c in card.subset_images.items())]
    facts += [_evenness(card), *_sizes(card)]
    sentences = [", ".join(facts) + "."]
    if len(card.products) > 1:
        sentences.insert(0, f"{len(card.products)} products: {listed(card.products)}.")
    if card.measured is not None and card.marked_percent is not None:
        px, percent = card.measured.area_px, card.measured.area_percent
        shown = _number(card.measured.images, "image")
        sentences.append(
            f"{shown} show{'s' * (card.measured.images == 1)} {_number(card.instances, 'instance')} of"
            f" {px.least:g} to {px.most:g} px (median {px.median:g} px, {_percent(percent.median)} of the image)."
        )
    sentences += _verdicts(card)
    return " ".join(sentences)


def _classes(card: DatasetCard) -> str:
    kinds = _number(len(card.defect_names), "kind") + " of defect"
    has_good = GOOD in card.classes
    total = len(card.defect_names) + has_good
    return f"{total} class{'es' * (total != 1)} ({kinds}{' and good' if has_good else ', no good images'})"


def _evenness(card: DatasetCard) -> str:
    """Whether the classes are of one size, or how far from it they are."""
    sizes = list(card.balance.images.values())
    if not sizes:
        return "no class has an image"
    if card.uniform:
        each = card.images // max(1, sum(len(classes) for classes in card.by_product.values()))
        return f"uniform ({each} of each class{' of each product' if len(card.products) > 1 else ''})"
    if sizes[0] == sizes[-1]:
        return f"{sizes[0]} of each class, but unevenly over the subsets"
    names = list(card.balance.images)
    return (
        f"not uniform ({sizes[0]} of {names[0]} to {sizes[-1]} of {names[-1]}, "
        f"imbalance factor {card.balance.imbalance_factor:.3g})"
    )


def _sizes(card: DatasetCard) -> list[str]:
    if not card.sizes:
        return ["sizes unknown"]
    (width, height, channels), images = next(iter(card.sizes.items()))
    told = [f"{width} x {height} pixels", *([_number(channels, "channel")] if channels else [])]
    if len(card.sizes) > 1:
        return [f"{len(card.sizes)} sizes, most of them ({images}) {', '.join(told)}"]
    return told


def _verdicts(card: DatasetCard) -> list[str]:
    agree = [product for product, lines in card.published.items() if not lines]
    differ = [product for product, lines in card.published.items() if lines]
    told = []
    if agree:
        told.append(f"{listed(agree)}: counts and sizes agree with the published MVTec AD.")
    if differ:
        told.append(f"{listed(differ)}: differs from the published MVTec AD.")
    if card.duplicates:
        told.append(f"{_number(len(card.duplicates), 'set')} of identical images.")
    if card.problems:
        told.append(f"{_number(len(card.problems), 'problem')} in the files.")
    return told


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of them where there are many."""
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])


def _percent(value: float) -> str:
    """Percent to three digits: areas go down to a millionth of the image."""
    return f"{float(f'{value:.3g}'):f}".rstrip("0").rstrip(".") + " %"


def print_card(card: DatasetCard) -> None:
    """The card on stdout."""
    from toolkit.cli.terminal import print_table, say

    say("\n".join(textwrap.wrap(card.summary, _WIDTH)) + "\n")
    for title, header, rows, texts in _tables(card):
        print_table(title, header, rows, texts=texts)


def _tables(card: DatasetCard) -> list[tuple[str, list[str], Rows, int]]:
    """Title, header, rows, and number of text columns of each table that has anything to show."""
    tables = [("Images and what is marked in them", *_class_table(card), 1)]
    if len(card.products) >= _PRODUCT_COLUMNS:
        tables.append(("Products", ["product", "images", "kinds of defect", "good"], _product_rows(card), 1))
    header = ["classes", "head", "tail", "head share", "tail share", "imbalance factor", "Gini"]
    tables.append(("How even the classes are", header, _balance_rows(card), 3))
    if len(card.sizes) > 1:
        tables.append(("Sizes", ["width", "height", "channels", "images"], _size_rows(card), 0))
    if card.measured is not None:
        header = ["", "least", "5 %", "25 %", "median", "75 %", "95 %", "most", "mean"]
        tables.append(("Distributions", header, _distribution_rows(card), 1))
    if card.duplicates:
        rows = [[str(len(keys)), ", ".join(keys)] for keys in card.duplicates]
        tables.append(("Identical images", ["images", "keys"], _shortened(rows), 2))
    differences = [[product, line] for product, lines in card.published.items() for line in lines]
    if differences:
        tables.append(("Differences from the published MVTec AD", ["product", "difference"], differences, 2))
    if card.problems:
        rows = [[problem.file, problem.problem] for problem in card.problems]
        tables.append(("Problems", ["file", "problem"], _shortened(rows), 2))
    return tables


def _shortened(rows: Rows) -> Rows:
    if len(rows) <= _SHOWN:
        return rows
    return [*rows[:_SHOWN], ["...", f"{len(rows) - _SHOWN} more, which --json lists"]]


def _class_table(card: DatasetCard) -> tuple[list[str], Rows]:
    header = ["class", *card.subsets, "all", "instances", "median px", "5 % to 95 % px", "median % of image"]
    names = [*card.classes, *(name for name in card.defect_names if name not in card.classes)]
    rows = []
    for name in names:
        counts = [str(subset.get(name, 0)) for subset in card.subsets.values()]
        figures = card.figures.get(name)
        measured = ["", "", "", ""]
        if figures is not None:
            px, percent = figures.area_px, _percent(figures.area_percent.median).removesuffix(" %")
            measured = [str(figures.instances), f"{px.median:g}", f"{px.p05:g} to {px.p95:g}", percent]
        rows.append([name, *counts, str(card.classes.get(name, 0)), *measured])
    totals = [str(images) for images in card.subset_images.values()]
    instances = str(card.instances) if card.measured else ""
    rows.append(["all images", *totals, str(card.images), instances, "", "", ""])
    return header, rows


def _product_rows(card: DatasetCard) -> Rows:
    return [
        [product, str(sum(classes.values())), str(len(classes.keys() - {GOOD})), str(classes.get(GOOD, 0))]
        for product, classes in card.by_product.items()
    ]


def _balance_rows(card: DatasetCard) -> Rows:
    balances = {"all": card.balance, "defects alone": card.defect_balance, **card.subset_balance}
    return [[name, *_balance_row(balance)] for name, balance in balances.items() if len(balance.images) > 1]


def _balance_row(balance: Balance) -> list[str]:
    if not balance.head:
        return ["none: all of one size", "", "", "", f"{balance.imbalance_factor:.2f}", f"{balance.gini:.3f}"]
    head, tail = (f"{len(names)}: {listed(names)}" for names in (balance.head, balance.tail))
    shares = [f"{100 * share:.1f} %" for share in (balance.head_share, balance.tail_share)]
    return [head, tail, *shares, f"{balance.imbalance_factor:.2f}", f"{balance.gini:.3f}"]


def _size_rows(card: DatasetCard) -> Rows:
    return [[*(str(value) for value in size), str(images)] for size, images in card.sizes.items()]


def _distribution_rows(card: DatasetCard) -> Rows:
    from toolkit.card.distributions import distribution

    kinds: dict[str, Distribution | None] = {
        "area of an instance, px": card.measured.area_px if card.measured else None,
        "area of an instance, % of image": card.measured.area_percent if card.measured else None,
        "marked in an image, px": card.marked_px,
        "marked in an image, % of image": card.marked_percent,
        "instances in a defect image": distribution({float(n): c for n, c in card.instances_per_image.items()}),
        "components of a mask": distribution({float(n): c for n, c in card.components_per_mask.items()}),
    }
    rows = []
    for name, kind in kinds.items():
        if kind is not None:
            values = (kind.least, kind.p05, kind.p25, kind.median, kind.p75, kind.p95, kind.most, kind.mean)
            rows.append([name, *(_short(value) for value in values)])
    return rows


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else _percent(value).removesuffix(" %")


def card_markdown(card: DatasetCard, plots: Iterable[tuple[str, str]]) -> str:
    """The card as Markdown, for a report or a README.

    Args:
        card: what to tell.
        plots: file name and title of each plot, shown in their order.
    """
    title = card.products[0] if len(card.products) == 1 else card.root.resolve().name
    parts = [f"# {markdown_text(title)}", markdown_text(card.summary)]
    for heading, header, rows, texts in _tables(card):
        parts += [f"## {heading}", markdown_table(header, rows, texts), *_explained(heading)]
    for file, caption in plots:
        parts += [f"## {caption}", f"![{caption}]({file})"]
    if card.notes:
        parts += ["## Notes", "\n".join(f"- {markdown_text(note)}" for note in card.notes)]
    return "\n\n".join(parts) + "\n"


_EXPLANATIONS = {
    "How even the classes are": (
        "The head is the largest third of the classes, the tail the smallest. The imbalance factor is the size of the "
        "largest class over that of the smallest (Cui et al., CVPR 2019); the Gini coefficient is 0 for classes of "
        "equal size (Damgaard and Weiner, 2000)."
    ),
    "Distributions": "An instance is an 8-connected component of a mask, or an object of a label tree.",
}


def _explained(heading: str) -> list[str]:
    return [_EXPLANATIONS[heading]] if heading in _EXPLANATIONS else []


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


def card_html(card: DatasetCard) -> str:
    """The summary and the table of classes as HTML, for a notebook."""
    from toolkit.markup import report_html

    header, rows = _class_table(card)
    return report_html(f"Dataset card of {card.root}", card.summary, header, rows, lists={"Notes": card.notes})
