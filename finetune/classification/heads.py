"""What stands between the features of a backbone and the classes."""

from __future__ import annotations

import torch
from torch import nn

from finetune.backbones.backbone import Backbone, build_backbone, untrained_backbone
from finetune.classification.config import BackboneConfig, HeadConfig
from finetune.classification.views.framing import input_size
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError

__all__ = ["build_network", "make_head", "reset_head"]


def build_network(config: BackboneConfig, weights: str | Run, classes: int) -> Backbone:
    """The backbone that a config names, under the head that it names. What is random comes from torch's generator.

    Args:
        config: backbone, size of images and head.
        weights: as for `build_backbone`; or the run whose trained weights are yet to be filled in.
        classes: number of classes.

    Raises:
        ToolkitError: as `build_backbone`, or the backbone sees squares alone and is to see others.
    """
    if isinstance(weights, Run):
        backbone = untrained_backbone(weights, config, classes)
    else:
        backbone = build_backbone(config.backbone, weights, classes, image_size=config.image_size)
    if config.head.kind != "linear" or config.head.dropout:
        parent, _, name = backbone.head.rpartition(".")
        setattr(backbone.model.get_submodule(parent), name, make_head(backbone.features, classes, config.head))
    if config.aspect != 1:
        _check_aspect(backbone, input_size(config))
    return backbone


def make_head(features: int, classes: int, head: HeadConfig) -> nn.Module:
    """A head: (B, features) -> logits (B, classes). A plain linear one is an `nn.Linear`."""
    dropout = [nn.Dropout(head.dropout)] if head.dropout else []
    if head.kind == "mlp":
        return nn.Sequential(nn.Linear(features, head.hidden), nn.ReLU(), *dropout, nn.Linear(head.hidden, classes))
    last = nn.Linear(features, classes)
    return nn.Sequential(*dropout, last) if dropout else last


def reset_head(head: nn.Module) -> None:
    """Draw the weights of a head anew."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def _check_aspect(backbone: Backbone, size: tuple[int, int]) -> None:
    training = backbone.model.training
    try:
        with torch.no_grad():
            backbone.model.eval()(torch.zeros(1, 3, *size))
    except (RuntimeError, ValueError, AssertionError) as error:
        told = f"{backbone.name} cannot take images of {size[1]} x {size[0]} px"
        raise ToolkitError("aspect", told, "use --set aspect=1, or another backbone") from error
    finally:
        backbone.model.train(training)
