"""The open-vocabulary detector: YOLO-World, or YOLOE with masks, fine-tuned on phrases for the defect classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.detection.data import open_detection_data
from finetune.detection.evaluation import LOWEST_SCORE
from finetune.detection.outcomes import MAP50
from finetune.detection.prediction import DetectorKind
from finetune.detection.training import Plan, open_for_training, train_detector
from finetune.engine.learner import Learner, Scoring
from finetune.engine.outputs.exports import Exportable
from finetune.engine.runs import Run, holds_run, read_config
from finetune.engine.splits import open_as_told
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.models import PromptedSource, find_model
from finetune.yolo_world.predictor import WordFacts, load_detector, load_predictor
from finetune.yolo_world.prompts import (
    Phrases,
    TextEmbeddings,
    each_phrase,
    encode_phrases,
    every_phrase,
    phrases_of_data,
    read_table,
    tree_names,
    write_table,
)
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from finetune.detection.trainer import RunTrainer

__all__ = [
    "LEARNER",
    "YoloWorldConfig",
    "evaluate",
    "export_prompts",
    "predict",
    "train",
]

_DETECTORS = DetectorKind(YoloWorldConfig, load_detector)
evaluate, predict = _DETECTORS.evaluate, _DETECTORS.predict


@holds_run
def train(
    data: Path, config: YoloWorldConfig, out: Path, resume: bool = False, progress: Progress | None = None
) -> Run:
    """Train a detector on phrases, and test it.

    Args:
        data: dataset root, category folder or label tree with boxes or masks.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, phrases, text features, model or device are at fault, or training fails.
    """
    found, source, config = open_for_training(data, config, find_model, "yolov8s-worldv2.pt")
    phrases = phrases_of_data(found, config)
    table, used = text_features(phrases, config, source)

    def trainer() -> tuple[type[RunTrainer], dict[str, object]]:
        from finetune.yolo_world.trainer import prompted_trainer

        return prompted_trainer(source, table)

    plan = Plan(
        NAME,
        found,
        source,
        trainer,
        load_detector,
        export,
        names=tree_names(phrases),
        facts={"encoder": table.encoder, "phrases": phrases, "encoder_used": used},
        notes=_notes(config, source, table, phrases),
        write=partial(_write_table, table),
    )
    return train_detector(plan, data, config, out, resume, progress)


def _write_table(table: TextEmbeddings, run: Run) -> None:
    write_table(table, run.root / "prompts.pt")


def export(run: Run) -> Exportable:
    """As `finetune.detection.export.detector_graph`.

    Raises:
        ToolkitError: the run is at fault.
    """
    from ultralytics.nn.tasks import load_checkpoint

    from finetune.detection.export import detector_graph
    from finetune.yolo_world.trainer import set_text

    phrases = run.facts(WordFacts).phrases
    words = each_phrase(phrases)

    def load(checkpoint: Path) -> Any:
        model, _ = load_checkpoint(str(checkpoint))
        set_text(model, words, read_table(run.root / "prompts.pt").stacked(every_phrase(phrases)))
        return model

    return detector_graph(run, read_config(run, YoloWorldConfig), list(phrases), load, {"phrases": phrases})


LEARNER = Learner(
    YoloWorldConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_as_told,
    MAP50,
    Scoring(_DETECTORS.known_scores, LOWEST_SCORE, 1),
    export,
)


def export_prompts(data: Path, config: YoloWorldConfig, file: Path) -> dict[str, str | list[str]]:
    """Write the text features of the classes of some data, for a machine without the text encoder.

    Args:
        data: as for `train`.
        config: settings, of which phrases, template, classes, prompts, encoder and model are used.
        file: the table.

    Returns:
        Class -> phrase, or phrases where it has several.

    Raises:
        ToolkitError: as `train`.
    """
    if file.is_dir():
        raise ToolkitError(file, "is a folder", "name a file, for instance prompts.pt")
    phrases = phrases_of_data(open_detection_data(data, config), config)
    wanted = _encoder(config, find_model(config.model, "none").encoder)
    write_table(encode_phrases(every_phrase(phrases), config.prompts, encoder=wanted[0], weights=wanted[1]), file)
    return phrases


def text_features(phrases: Phrases, config: YoloWorldConfig, source: PromptedSource) -> tuple[TextEmbeddings, str]:
    """Features of all phrases, and the encoder that made them as "model=weights".

    Raises:
        ToolkitError: they cannot be had, or are of another encoder than the weights of the model.
    """
    encoder, weights = _encoder(config, source.encoder)
    table = encode_phrases(every_phrase(phrases), config.prompts, encoder=encoder, weights=weights)
    if not source.random and not _agree(table.encoder, source.encoder):
        raise ToolkitError(
            config.prompts if config.prompts != "clip" else f"encoder {encoder}",
            f"has features of {table.encoder}, but the model was trained with {source.encoder}",
            "use those features, or --set weights=none to begin with random weights",
        )
    return table, f"{encoder}={weights}"


def _encoder(config: YoloWorldConfig, made_for: str) -> tuple[str, str]:
    model, _, weights = made_for.partition("/")
    if "/" not in made_for:
        model, weights = "ViT-B-32-quickgelu", "openai"  # "hash", or an encoder that open_clip does not have
    encoder = model if config.encoder == "auto" else config.encoder
    chosen = weights if config.encoder_weights == "auto" else config.encoder_weights
    return encoder, chosen


def _agree(ours: str, theirs: str) -> bool:
    """Whether two encoders are the same as far as can be told: of a file only its hash is known."""
    if ours == theirs:
        return True
    (model, _, weights), (other, _, their_weights) = ours.partition("/"), theirs.partition("/")
    of_file = any(len(one) == 12 and not set(one) - set("0123456789abcdef") for one in (weights, their_weights))
    return model == other and of_file


def _notes(config: YoloWorldConfig, source: PromptedSource, table: TextEmbeddings, phrases: Phrases) -> list[str]:
    notes = []
    several = [name for name, told in phrases.items() if not isinstance(told, str)]
    if several:
        notes.append(
            f"several phrases stand for {', '.join(several)}: in training each image is shown one at random, and what "
            "is found has the score of the best of them"
        )
    if not source.random and config.freeze == "none":
        notes.append(
            "fine-tuning all of it makes the detector nearly closed-set: it forgets words that it was not trained on; "
            "freeze=backbone or freeze=neck keeps more of them"
        )
    if not source.random and table.encoder != source.encoder:
        notes.append(f"features of {table.encoder}: it cannot be told whether they are those of {source.encoder}")
    return notes
