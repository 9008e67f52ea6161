"""PatchCore in a run: written, loaded, ready for image files."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from finetune.anomaly.detector import Detector, describe_file
from finetune.anomaly.thresholds import threshold_of
from finetune.backbones.backbone import Backbone, build_backbone
from finetune.engine.checkpoints import load_weights, read_checkpoint
from finetune.engine.devices import pick_device
from finetune.engine.prediction import Prediction
from finetune.engine.runs import Run, read_config
from finetune.patchcore.config import PatchcoreConfig
from finetune.patchcore.features import PatchFeatures
from finetune.patchcore.memory import MemoryBank
from finetune.patchcore.models import PatchCore
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_whole

__all__ = ["TrainedPatchcore", "build_features", "load_model", "load_predictor", "load_trained", "save_model"]


@dataclass(frozen=True, eq=False)
class TrainedPatchcore(Detector):
    """What a run left, ready for use.

    Attributes:
        model: in evaluation mode, on `device`.
    """

    model: PatchCore


def build_features(config: PatchcoreConfig, weights: str) -> tuple[PatchFeatures, Backbone]:
    """What makes patches of images, and the backbone that it is made of.

    Raises:
        ToolkitError: the backbone does not take this size, has no such block, or its weights cannot be had.
    """
    backbone = build_backbone(config.backbone, weights, 1, image_size=config.image_size)
    # One that is loaded is built without weights, but expects what those that it began with expect.
    backbone = replace(backbone, normalization=config.normalization)
    return PatchFeatures(backbone, config.blocks, config.neighbourhood), backbone


def save_model(run: Run, model: PatchCore) -> None:
    """Write backbone and bank, which are all that a run needs to go on with."""
    packed = io.BytesIO()
    torch.save({"state_dict": {name: value.cpu() for name, value in model.state_dict().items()}}, packed)
    write_whole(run.checkpoints / "last.ckpt", packed.getvalue())


def load_model(run: Run, config: PatchcoreConfig) -> PatchCore:
    """What `save_model` wrote.

    Raises:
        ToolkitError: it is damaged, or another model's.
    """
    file, remedy = run.best_checkpoint, "use its own settings"
    state = read_checkpoint(file).get("state_dict")
    features, _ = build_features(config, "none")
    bank = _bank_of(state) if isinstance(state, Mapping) else None
    if bank is None:
        raise ToolkitError(file, "holds no memory bank", "name a run of patchcore that 'defectkit train' made")
    patches, origin = bank
    if patches.shape[1] != features.dims:
        found = f"patches of {patches.shape[1]} numbers, not {features.dims}"
        raise ToolkitError(file, f"belongs to another model ({found})", remedy)
    model = PatchCore(features, MemoryBank(patches, origin, config.neighbours))
    load_weights(model, file)
    return model.to(pick_device(config.device)).eval()


def _bank_of(state: Mapping[str, object]) -> tuple[torch.Tensor, torch.Tensor] | None:
    patches, origin = state.get("bank.patches"), state.get("bank.origin")
    if not isinstance(patches, torch.Tensor) or not isinstance(origin, torch.Tensor):
        return None
    fits = patches.dim() == 2 and len(patches) > 0 and origin.shape == patches.shape[:1]
    return (patches, origin) if fits and patches.dtype == torch.float32 and origin.dtype == torch.int32 else None


def load_trained(run: Run) -> TrainedPatchcore:
    """The model of a run.

    Raises:
        ToolkitError: the run did not go to its end, or its files are damaged.
    """
    config = read_config(run, PatchcoreConfig)
    threshold = threshold_of(run)
    model = load_model(run, config)
    return TrainedPatchcore(model, config, pick_device(config.device), threshold, model)


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The model of a run, ready for one image file after the other.

    Raises:
        ToolkitError: as `load_trained`.
    """
    return partial(describe_file, load_trained(run))
