"""A dataset's card as one HTML file to pass on: pictures of labels, plots, what was found wrong, what to do next."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2

from converters.formats.base import Settings
from converters.sources import Member, Source
from toolkit import __version__
from toolkit.card.gate import GATES, failures
from toolkit.card.model import DatasetCard, class_table
from toolkit.card.plots import PLOTS, draw_plots
from toolkit.card.text import card_tables
from toolkit.dataset.samples import GOOD, image_class
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole
from toolkit.gallery.sampling import even_sample
from toolkit.plotting.overlays import overlay_tile

__all__ = ["check_report", "write_report"]

_TILE, _QUALITY = 224, 85  # pixels of a picture's side; of its JPEG
_MOST_SHOWN, _MOST_SUSPECTS, _MOST_SETS, _MOST_ALIKE = 24, 24, 8, 4
_EXAMPLES = 5  # of a finding, by name


@dataclass(frozen=True)
class _Advice:
    """What a problem of a dataset means.

    Attributes:
        title: in a few words.
        meaning: why it matters.
        way: what to do, in words.
        command: the command for it, {root} for the dataset; "" for none.
    """

    title: str
    meaning: str
    way: str
    command: str = ""


_ADVICE = {
    "problems": _Advice(
        "Files at fault",
        "These images or masks cannot be used as they are.",
        "Mend the files. To go on without them, leave them out:",
        "defectkit convert {root} labels --to coco --on-problem skip",
    ),
    "conflicts": _Advice(
        "The same image under several classes",
        "At least one of its labels is wrong.",
        "Look at each set, and remove what is wrong.",
    ),
    "leaks": _Advice(
        "Copies in several subsets",
        "What is tested was trained on, so that figures look better than they are.",
        "Draw a split that keeps copies together:",
        "defectkit split {root} split.csv --strategy stratified --group near-duplicates",
    ),
    "suspects": _Advice(
        "Suspicious labels",
        "Models that never saw these images, maps or copies speak against their labels.",
        "Look at them in this page, the worst first, and correct them there (--out card writes the table):",
        "defectkit view {root} --suspects {table}",
    ),
    "duplicates": _Advice(
        "Identical images",
        "They count twice wherever images are counted. Splits keep them together.",
        "Remove the copies.",
    ),
    "near-duplicates": _Advice(
        "Near-duplicates",
        "They show one photo, brightened, cropped or compressed again, and are not independent.",
        "Keep them together in every split:",
        "defectkit split {root} split.csv --strategy stratified --group near-duplicates",
    ),
    "missing-classes": _Advice(
        "Classes that a subset lacks",
        "They cannot be learnt, or not be tested, with these subsets. In anomaly detection that is as it should be.",
        "For a classifier, draw other subsets:",
        "defectkit split {root} split.csv --strategy stratified",
    ),
    "published": _Advice(
        "Differences from the published MVTec AD",
        "Figures on this data do not compare with those that others have published.",
        "Take the data from its own page again, or say which images you have.",
    ),
}
_NOT_LOOKED = {"near-duplicates": "add --near-duplicates", "suspects": "add --suspects RUN"}


def check_report(file: Path, root: Path, *, overwrite: bool) -> None:
    """Refuse a name that a report cannot have.

    Raises:
        ToolkitError: it is no HTML file's, lies in the dataset, or stands for something that must not be replaced.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise ToolkitError(file, "a report is an HTML file", "name it FILE.html")
    if file.is_dir():
        raise ToolkitError(file, "is a folder", "name an HTML file")
    if root.is_dir() and file.resolve().is_relative_to(root.resolve()):
        raise ToolkitError(file, f"lies inside the input {root}", "choose a place apart from it")
    if file.exists() and not overwrite:
        raise ToolkitError(file, "exists already", "choose another name, or add --overwrite")


def write_report(card: DatasetCard, source: Source, file: Path, *, table: Path | None = None) -> None:
    """Write a card as one HTML file that needs nothing else. The same card gives the same bytes.

    Args:
        card: what was measured.
        source: its images, of which some are shown.
        file: the report.
        table: where suspects.csv is; None where it was not written.

    Raises:
        ToolkitError: the file cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    text = (resources.files("converters.viewing") / "report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(text).render(_told(card, source, table))
    write_whole(file, (html + "\n").encode(errors="backslashreplace"))


def _told(card: DatasetCard, source: Source, table: Path | None) -> dict[str, object]:
    """What the template shows."""
    sets = [*((keys, "same bytes") for keys in card.conflicts), *((keys, "in several subsets") for keys in card.leaks)]
    shown = sets[:_MOST_SETS]
    suspects = card.doubtful[:_MOST_SUSPECTS]
    chosen = _sample(source)
    named = {key for keys, _ in shown for key in keys[:_MOST_ALIKE]} | {one.key for one in suspects}
    members = {one.sample.key: one for one in source.members if one.sample.key in named}
    pictures = _Pictures(source)
    header, rows = class_table(card)
    return {
        "name": source.root.resolve().name,
        "card": card,
        "version": __version__,
        "facts": _facts(card),
        "findings": _findings(card, table),
        "quiet": [_title(name) for name in GATES if name not in failures(card, list(GATES)) and _looked(card, name)],
        "unlooked": [f"{_title(name)} ({how})" for name, how in _NOT_LOOKED.items() if not _looked(card, name)],
        "examples": [
            (image_class(one.sample, "defect"), one.sample, picture)
            for one in chosen
            if (picture := pictures.of(one)) is not None
        ],
        "suspects": [(one, pictures.of(members.get(one.key))) for one in suspects],
        "more_suspects": len(card.doubtful) - len(suspects),
        "sets": [(what, _alike(keys, members, pictures)) for keys, what in shown],
        "more_sets": len(sets) - len(shown),
        "plots": [(PLOTS[name], base64.b64encode(data).decode()) for name, data in draw_plots(card).items()],
        "header": header,
        "rows": rows,
        "tables": [one for one in card_tables(card)[1:] if one[0] != "Suspicious labels"],
    }


def _title(name: str) -> str:
    title = _ADVICE[name].title
    return title[:1].lower() + title[1:]


def _looked(card: DatasetCard, name: str) -> bool:
    """Whether a problem was looked for."""
    found = {"near-duplicates": card.near_duplicates, "suspects": card.suspects}
    return name not in found or found[name] is not None


def _facts(card: DatasetCard) -> list[tuple[str, str]]:
    """The figures at the head."""
    found = [
        (f"{card.images:,}", "images"),
        (str(len(card.defect_names)), "kinds of defect"),
        (f"{card.classes.get(GOOD, 0):,}", "good images"),
        (f"{card.instances:,}", "marked defects"),
    ]
    if card.suspects is not None:
        found.append((f"{len(card.doubtful):,}", "suspicious labels"))
    return [*found, (f"{len(card.problems):,}", "files at fault")]


def _findings(card: DatasetCard, table: Path | None) -> list[dict[str, object]]:
    """What is wrong, the worst first, each with what to do."""
    told = {"root": shlex.quote(str(card.root)), "table": shlex.quote(str(table or "card/suspects.csv"))}
    found = failures(card, list(_ADVICE))
    return [
        {
            "title": _ADVICE[name].title,
            "count": count,
            "meaning": _ADVICE[name].meaning,
            "way": _ADVICE[name].way,
            "command": _ADVICE[name].command.format(**told),
            "examples": _examples(card, name)[:_EXAMPLES],
            "more": max(0, len(_examples(card, name)) - _EXAMPLES),
        }
        for name, count in found.items()
    ]


def _examples(card: DatasetCard, name: str) -> list[str]:
    """What a finding is about, a line each."""
    sets = {
        "duplicates": card.duplicates,
        "near-duplicates": card.near_duplicates or [],
        "leaks": card.leaks,
        "conflicts": card.conflicts,
    }
    if name in sets:
        return [" = ".join(keys) for keys in sets[name]]
    if name == "problems":
        return [f"{one.file}: {one.problem}" for one in card.problems]
    if name == "published":
        return [f"{product}: {line}" for product, lines in card.published.items() for line in lines]
    if name == "missing-classes":
        lacking = {subset: sorted(card.classes.keys() - held.keys()) for subset, held in card.subsets.items()}
        return [f"{subset}: {', '.join(names)}" for subset, names in lacking.items() if names]
    return [f"{one.key}: {one.label}, suggested {one.suggested} ({one.score:.2f})" for one in card.doubtful]


def _sample(source: Source) -> list[Member]:
    """Images to show, evenly over the classes."""
    members = [one for one in source.members if one.sample.kind != "unlabelled"]
    strata = [(image_class(one.sample, "defect"), "") for one in members]
    chosen = [members[place] for place in even_sample(strata, _MOST_SHOWN)] if members else []
    named = [(label == GOOD, label, one) for one in chosen for label in [image_class(one.sample, "defect")]]
    return [one for *_, one in sorted(named, key=lambda told: told[:2])]


def _alike(
    keys: Sequence[str], members: Mapping[str, Member], pictures: _Pictures
) -> list[tuple[str, str, str, str | None]]:
    """Key, class, subset and picture of images that show one photo."""
    found: Iterable[Member] = (members[key] for key in keys[:_MOST_ALIKE] if key in members)
    return [(one.sample.key, image_class(one.sample, "defect"), one.sample.split, pictures.of(one)) for one in found]


class _Pictures:
    """Pictures of labels, as JPEG in base64, each drawn once."""

    def __init__(self, source: Source) -> None:
        self._settings = Settings(classes=tuple(source.classes()))
        self._classes = list(source.classes())
        self._drawn: dict[str, str | None] = {}

    def of(self, member: Member | None) -> str | None:
        """One; None where there is no image, or its files are at fault."""
        if member is None or not member.sample.image.is_file():
            return None
        key = member.sample.key
        if key not in self._drawn:
            self._drawn[key] = self._draw(member)
        return self._drawn[key]

    def _draw(self, member: Member) -> str | None:
        try:
            labelled = member.read(self._settings).image
            others = sorted({one.label for one in labelled.instances} - set(self._classes))
            drawn = overlay_tile(labelled, [*self._classes, *others], _TILE)
        except ToolkitError:
            return None
        done, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return base64.b64encode(data.tobytes()).decode() if done else None
