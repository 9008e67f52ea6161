"""Labels that are probably wrong, by what runs, masks and copies say of them: found, ranked, and told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.sources import LayoutLike, SourceLike, open_source
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, open_run
from finetune.inference import TrainedRun
from finetune.suspects.evidence import Copies, Evidence, copy_doubts
from finetune.suspects.witnesses import hear
from toolkit.aliases import JsonObject, Progress
from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.samples import Sample, image_class
from toolkit.dataset.splits import find_duplicates
from toolkit.dataset.suspects import DOUBTFUL, Suspect

__all__ = ["SuspectReport", "find_suspects", "rank"]


@dataclass(frozen=True)
class SuspectReport:
    """Images by how much speaks against their labels.

    Attributes:
        ranked: every image of which there is evidence, the most suspicious first.
        runs: what was asked: run, learner, images (of which it says something), and of a classifier errors_expected,
            the number of wrong classes that confident learning expects among them.
        notes: what to know.
    """

    ranked: tuple[Suspect, ...]
    runs: tuple[JsonObject, ...]
    notes: tuple[str, ...]

    @property
    def doubtful(self) -> tuple[Suspect, ...]:
        """Those against whose label more speaks than for it."""
        return tuple(one for one in self.ranked if one.doubtful)

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        rows = [[one.key, one.label, one.suggested, f"{one.score:.2f}", one.why] for one in self.doubtful]
        about = f"{len(self.doubtful)} of {len(self.ranked)} labels have a score of {DOUBTFUL:g} or more"
        header = ["key", "label", "suggested", "score", "why"]
        return report_html("Suspicious labels", about, header, rows, lists={"Notes": self.notes})


def find_suspects(
    data: SourceLike,
    runs: str | Path | Run | Sequence[str | Path | Run],
    *,
    layout: LayoutLike = None,
    copies: Iterable[Sequence[str]] | None = None,
    progress: Progress | None = None,
) -> SuspectReport:
    """Rank the labels of a dataset or a label tree by what speaks against them.

    Args:
        data: what was labelled.
        runs: finished runs that were trained on it: classifiers (with out_of_fold, else of their test images alone),
            anomaly detectors, segmenters.
        layout: how the data is laid out; found by itself if None.
        copies: keys of images that show one photo, as `near_duplicates` finds them; they are looked for if None.
        progress: called with (images done, images) while a detector looks at them.

    Raises:
        ToolkitError: data or runs are at fault, or a run was trained on other images.
    """
    source = open_source(data, layout)
    several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    opened = [one if isinstance(one, Run) else open_run(one) for one in several]
    members = {one.sample.key: one for one in source.members if one.sample.kind != "unlabelled"}
    labels = {key: image_class(one.sample, "defect") for key, one in members.items()}
    evidence: list[Evidence] = []
    told: list[JsonObject] = []
    notes: list[str] = []
    for run in opened:
        said = hear(run, members, _loaded, progress)
        evidence += said.evidence
        errors = {} if said.errors is None else {"errors_expected": said.errors}
        told.append({"run": str(run.root), "learner": run.learner, "images": said.images, **errors})
        notes += said.notes
    evidence += copy_doubts(_copies([one.sample for one in members.values()], copies), labels)
    return SuspectReport(rank(evidence, labels), tuple(told), tuple(notes))


def _loaded(run: Run) -> Callable[[Path], Prediction]:
    return TrainedRun(run.root, run.learner).predict


def _copies(samples: Sequence[Sample], near: Iterable[Sequence[str]] | None) -> list[Copies]:
    """Sets of identical images, and sets of near-duplicates that hold others too."""
    there = [sample for sample in samples if sample.image.is_file()]
    identical = [tuple(keys) for keys in find_duplicates(there)]
    alike = near_duplicates(there, skip_faulty=True) if near is None else near
    sets = [set(keys) for keys in identical]
    others = [tuple(keys) for keys in alike if not any(one.issuperset(keys) for one in sets)]
    return [*(Copies(keys, True) for keys in identical), *(Copies(keys, False) for keys in others)]


def rank(evidence: Iterable[Evidence], labels: Mapping[str, str]) -> tuple[Suspect, ...]:
    """One list of what is said: the strongest kind of evidence counts, the sum of all where that is the same.

    Several witnesses of one kind are averaged.

    Args:
        evidence: of any kind.
        labels: key -> class, of all images that there may be evidence of.
    """
    by_key: dict[str, dict[str, list[Evidence]]] = defaultdict(lambda: defaultdict(list))
    for one in evidence:
        by_key[one.key][one.kind].append(one)
    found = []
    for key, kinds in by_key.items():
        means = {kind: sum(one.score for one in some) / len(some) for kind, some in kinds.items()}
        order = sorted(means, key=lambda kind: (-means[kind], kind))
        best = [max(kinds[kind], key=lambda one: one.score) for kind in order]
        against = [one for one, kind in zip(best, order, strict=True) if means[kind] >= DOUBTFUL]
        named = [one.suggested for one in against if one.suggested]
        suggested = named[0] if named else labels[key]
        why = "; ".join(one.why for one in against)
        suspect = Suspect(key, labels[key], suggested, round(means[order[0]], 4), why)
        found.append((-suspect.score, -sum(means.values()), key, suspect))
    return tuple(one[-1] for one in sorted(found, key=lambda one: one[:3]))
