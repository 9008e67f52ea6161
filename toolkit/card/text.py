"""A dataset card in words and tables: a summary, tables for a terminal, Markdown for a report, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toolkit.card.distributions import Balance, Distribution, percent_text
from toolkit.card.model import class_table, listed
from toolkit.dataset.samples import GOOD
from toolkit.plotting.markdown import Rows, markdown_table, markdown_text

if TYPE_CHECKING:
    from toolkit.card.model import DatasetCard

__all__ = ["card_markdown"]


_SHOWN = 20  # problems, or sets of duplicates, in a terminal and in Markdown; JSON has all
_PRODUCT_COLUMNS = 2  # products from which a table shows them


def card_tables(card: DatasetCard) -> list[tuple[str, list[str], Rows, int]]:
    """Title, header, rows, and number of text columns of each table that has anything to show."""
    tables = [("Images and what is marked in them", *class_table(card), 1)]
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
    if card.near_duplicates:
        rows = [[str(len(keys)), ", ".join(keys)] for keys in card.near_duplicates]
        tables.append(("Near-duplicates", ["images", "keys"], _shortened(rows), 2))
    if card.doubtful:
        header = ["key", "label", "suggested", "why", "score"]
        rows = [[one.key, one.label, one.suggested, one.why, f"{one.score:.2f}"] for one in card.doubtful]
        tables.append(("Suspicious labels", header, _shortened(rows), 4))
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
    return [*rows[:_SHOWN], ["...", f"{len(rows) - _SHOWN} more, which --json lists", *[""] * (len(rows[0]) - 2)]]


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
    return str(value) if isinstance(value, int) else percent_text(value).removesuffix(" %")


def card_markdown(card: DatasetCard, plots: Iterable[tuple[str, str]]) -> str:
    """The card as Markdown, for a report or a README.

    Args:
        card: what to tell.
        plots: file name and title of each plot, shown in their order.
    """
    title = card.products[0] if len(card.products) == 1 else card.root.resolve().name
    parts = [f"# {markdown_text(title)}", markdown_text(card.summary)]
    for heading, header, rows, texts in card_tables(card):
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
