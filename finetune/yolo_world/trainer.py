"""ultralytics' trainers of words, with text features that were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import torch

from finetune.detection.runtime import load_ultralytics
from finetune.detection.trainer import RunTrainer
from finetune.yolo_world.models import PromptedSource
from finetune.yolo_world.prompts import TextEmbeddings
from finetune.yolo_world.synonyms import gather_phrases

load_ultralytics()  # which has to go before the first import of ultralytics

from ultralytics.models.yolo.segment import SegmentationValidator  # noqa: E402
from ultralytics.models.yolo.world.train import WorldTrainer, on_pretrain_routine_end  # noqa: E402
from ultralytics.models.yolo.yoloe.train_seg import YOLOESegTrainer  # noqa: E402
from ultralytics.nn.modules import Detect  # noqa: E402

__all__ = ["prompted_trainer", "set_text"]


class _Prompted(RunTrainer):
    """What the two trainers have in common; goes before ultralytics' class.

    Attributes:
        features: phrase -> features.
        encoder: the text encoder they are from.
    """

    text_embeddings: Any
    ema: Any
    validator: Any
    features: ClassVar[Mapping[str, torch.Tensor]] = {}
    encoder: ClassVar[str] = ""

    def set_text_embeddings(self, datasets: list[Any], batch: int | None) -> None:
        """Take the features that were given, where ultralytics computes them or reads them from a cache."""
        self.text_embeddings = {phrase: vector.to(self.device) for phrase, vector in self.features.items()}

    @property
    def phrases(self) -> list[tuple[str, ...]]:
        """The phrases of each class."""
        return [tuple(name.split("/")) for name in self.data["names"].values()]

    def set_text(self, model: Any, *, gathered: bool = True) -> None:
        """Have a model look for the phrases of the dataset, or for the first one of each class."""
        phrases = self.phrases if gathered else [told[:1] for told in self.phrases]
        features = torch.stack([self.features[phrase] for told in phrases for phrase in told])
        set_text(model, phrases, features.to(next(model.parameters()).device))
        model.text_encoder = self.encoder

    def validate(self) -> Any:
        """Validate what predictions are made by: the best of a class's phrases. What is saved is a plain model."""
        average = self.ema.ema
        self.set_text(average)
        stock: Any = super()
        try:
            return stock.validate()
        finally:
            self.set_text(average, gathered=False)

    def final_eval(self) -> None:
        """Validate the best checkpoint by the best of a class's phrases, too."""
        if any(len(told) > 1 for told in self.phrases):
            self.validator.get_model = self._checkpoint_to_validate
        stock: Any = super()
        stock.final_eval()

    def _checkpoint_to_validate(self, model: Any, trainer: Any = None) -> Any:
        """As ultralytics' validator finds its model, with all phrases."""
        if trainer is not None:
            return trainer.ema.ema
        from ultralytics.nn.tasks import load_checkpoint

        found, _ = load_checkpoint(str(model))
        self.set_text(found)
        return found


class PromptedWorldTrainer(_Prompted, WorldTrainer):
    """YOLO-World's trainer with features that were given."""

    def get_model(self, cfg: Any = None, weights: torch.nn.Module | None = None, verbose: bool = True) -> Any:
        """The stock model; the callback that would compute text features gives way to one that takes ours."""
        # WorldDetect first takes the form of whatever detector this process built last, and with it other random
        # numbers, before it takes its own; a run must not depend on that.
        Detect.legacy = False
        model = super().get_model(cfg, weights, verbose)
        event = "on_pretrain_routine_end"
        self.callbacks[event] = [one for one in self.callbacks[event] if one is not on_pretrain_routine_end]
        self.add_callback(event, _look_for_first_phrases)
        return model


class PromptedYoloeTrainer(_Prompted, YOLOESegTrainer):
    """YOLOE's trainer with features that were given, for boxes and masks."""

    def get_model(self, cfg: Any = None, weights: torch.nn.Module | None = None, verbose: bool = True) -> Any:
        """The stock model, whose loss is built for as many phrases as a batch brings."""
        model = super().get_model(cfg, weights, verbose)
        model.model[-1].nc = min(self.data["nc"], 80)
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """The stock dataset, and the features of its phrases."""
        dataset = super().build_dataset(img_path, mode, batch)
        if mode == "train":
            self.set_text_embeddings([dataset], batch)
        return dataset

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device, and add the features of its phrases."""
        with_text: Any = WorldTrainer.preprocess_batch
        prepared: dict[str, Any] = with_text(self, batch)
        return prepared

    def get_validator(self) -> Any:
        """The plain validator: YOLOE's own would compute text features itself."""
        return SegmentationValidator(
            self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=self.callbacks
        )


def _look_for_first_phrases(trainer: Any) -> None:
    """Have the averaged model, which is saved, look for the phrases of the dataset, one a class."""
    trainer.set_text(trainer.ema.ema, gathered=False)


def set_text(model: Any, phrases: Sequence[Sequence[str]], features: torch.Tensor) -> None:
    """Make a model look for phrases, without a text encoder.

    Args:
        model: YOLO-World or YOLOE.
        phrases: of each class one or several, whose best score is that of the class.
        features: float32 (N, 512) of all phrases, one after the other, on the model's device.
    """
    names = [told[0] for told in phrases]
    with torch.no_grad():
        if hasattr(model, "txt_feats"):
            model.txt_feats = features[None]
            model.model[-1].nc = len(names)
        else:
            weight = next(model.parameters())
            model.set_classes(names, model.model[-1].get_tpe(features[None].to(weight.dtype)).detach())
    gather_phrases(model.model[-1], [len(told) for told in phrases])
    if hasattr(model, "names"):
        model.names = dict(enumerate(names))


def prompted_trainer(source: PromptedSource, table: TextEmbeddings) -> tuple[type[RunTrainer], dict[str, object]]:
    """The class of a trainer that looks for phrases, and the features that it is given.

    Args:
        source: the model.
        table: features of the phrases that it learns.
    """
    base = PromptedYoloeTrainer if source.masks else PromptedWorldTrainer
    return base, {"features": dict(table.features), "encoder": table.encoder}
