"""A trained detector of words at work: of the classes that it was trained on, or of other words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.detection.predictor import TrainedDetector, confidence_of, predict_one
from finetune.engine.facts import Facts
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.prompts import HASH, TextEmbeddings, each_phrase, encode_phrases, read_table
from toolkit.errors import ToolkitError

__all__ = ["Detector", "WordFacts", "load_detector", "load_predictor"]


@dataclass(frozen=True)
class _Words:
    """What is looked for: the label of each, and its phrases."""

    labels: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]


def _words(words: Sequence[str]) -> _Words:
    phrases = tuple(" ".join(word.split()) for word in words)
    if not all(phrases):
        raise ToolkitError("words", "one of them is empty", "name what to look for")
    if not phrases:
        raise ToolkitError("words", "there are none", "name what to look for")
    twice = next((phrase for phrase in phrases if phrases.count(phrase) > 1), None)
    if twice is not None:
        raise ToolkitError("words", f"{twice!r} is named twice", "name it once")
    return _Words(tuple(words), tuple((phrase,) for phrase in phrases))


class WordFacts(Facts):
    """Of a detector besides.

    Attributes:
        phrases: class -> phrase, or phrases where it has several.
        encoder_used: "model=weights" of the text encoder.
        masks: whether it makes masks.
    """

    phrases: dict[str, str | list[str]]
    encoder_used: str = ""
    masks: bool = False


class Detector(TrainedDetector):
    """A trained model that looks for its own classes or for other words."""

    def __init__(self, run: Run, config: YoloWorldConfig, table: TextEmbeddings, facts: WordFacts) -> None:
        """Load the best checkpoint of a run.

        Args:
            run: where it is.
            config: its settings.
            table: features of its phrases.
            facts: what its environment.json says.

        Raises:
            ToolkitError: there is no checkpoint, it is damaged, or there is no such device.
        """
        super().__init__(run, config, tuple(facts.phrases), masks=facts.masks)
        self._prompts, self._table, self._facts = config.prompts, table, facts
        self._trained = _Words(self.classes, tuple(each_phrase(facts.phrases)))
        self._ready: tuple[_Words, Any] | None = None

    def _model(self, words: Sequence[str] | None) -> tuple[Any, tuple[str, ...]]:
        """A model that looks for these words. Another one each time: ultralytics melts them into it."""
        wanted = self._trained if words is None else _words(words)
        if self._ready is None or self._ready[0] != wanted:
            from ultralytics.models import YOLO

            from finetune.yolo_world.trainer import set_text

            features = self._features([phrase for told in wanted.phrases for phrase in told])
            model = YOLO(str(self._checkpoint))
            set_text(model.model, wanted.phrases, features)
            self._ready = wanted, model
        return self._ready[1], wanted.labels

    def _features(self, phrases: Sequence[str]) -> torch.Tensor:
        missing = [phrase for phrase in phrases if phrase not in self._table.features]
        if missing:
            if self._prompts not in ("clip", HASH) and not Path(self._prompts).is_file():
                self._table.stacked(missing)  # which says what is missing
            encoder, _, weights = self._facts.encoder_used.partition("=")
            added = encode_phrases(missing, self._prompts, encoder=encoder, weights=weights)
            if added.encoder != self._table.encoder and self._prompts != HASH:
                remedy = "use the weights that it was trained with"
                problem = f"makes features of {added.encoder}, the run was trained with {self._table.encoder}"
                raise ToolkitError(f"prompts {self._prompts}", problem, remedy)
            self._table = TextEmbeddings(self._table.encoder, {**self._table.features, **added.features})
        return self._table.stacked(phrases)


def load_detector(run: Run) -> Detector:
    """The detector of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run is none of a detector, did not go to its end, or its files are damaged.
    """
    if run.learner != NAME:
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {NAME}", "name a run of a detector")
    facts = run.facts(WordFacts)
    return Detector(run, read_config(run, YoloWorldConfig), read_table(run.root / "prompts.pt"), facts)


def load_predictor(run: Run) -> Callable[..., Prediction]:
    """The detector of a run, ready for one image file after the other, with other words or its own.

    Raises:
        ToolkitError: as `load_detector`.
    """
    return predict_one(load_detector(run), confidence_of(run, read_config(run, YoloWorldConfig)))
