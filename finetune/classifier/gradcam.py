"""What a classifier looked at: Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391, equations 1 and 2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import interpolate

from finetune.backbones.backbone import map_layer
from finetune.backbones.models import as_map

__all__ = ["class_activation"]


def class_activation(
    model: nn.Module, backbone: str, images: torch.Tensor, classes: torch.Tensor
) -> npt.NDArray[np.float32]:
    """Where images speak for a class: L = ReLU(sum over k of a_k A_k), with a_k the mean gradient of the logit in A_k.

    Args:
        model: float32 (B, 3, H, W) -> logits.
        backbone: name of its architecture, which says where its last map A is.
        images: (B, 3, H, W), normalised, on the model's device.
        classes: (B,) the class of each image that is asked for.

    Returns:
        float32 (B, H, W), each from 0 to 1; all 0 where nothing speaks for the class.
    """
    kept: list[torch.Tensor] = []

    def keep(module: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        kept.append(output)
        return output.clone()  # what comes next may write into it

    before = model.training
    model.eval()
    hook = _layer(model, backbone).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            # So that there is a gradient even where every weight is frozen.
            logits = model(images.detach().requires_grad_())
            chosen = logits.gather(1, classes.view(-1, 1)).sum()
            (gradients,) = torch.autograd.grad(chosen, kept[0])
    finally:
        hook.remove()
        model.train(before)
    activations, slopes = (as_map(model, tensor.detach().float()) for tensor in (kept[0], gradients))
    weighted = (slopes.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1, keepdim=True).relu()
    found = interpolate(weighted, size=images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    peaks = found.amax(dim=(1, 2), keepdim=True)
    maps: npt.NDArray[np.float32] = torch.where(peaks > 0, found / peaks.clamp(min=1e-12), 0.0).cpu().numpy()
    return maps


def _layer(model: nn.Module, backbone: str) -> nn.Module:
    if backbone.startswith("vit_"):
        # After this layer only the class token is read: the patches have no gradient any more.
        layers = list(model.get_submodule("encoder.layers").children())
        return layers[-1].get_submodule("ln_1")
    return model.get_submodule(map_layer(backbone)[0])
