"""Names of the backbones, which settings check: a list of our own, so that no settings load torchvision."""

from __future__ import annotations

from finetune.engine.config import IMAGENET, Normalization, nearest

__all__ = ["BACKBONES", "PACKAGED", "TIMM", "check_backbone", "normalization"]

PACKAGED = "efficientnet_lite0"
"""The backbone whose weights come in a package that is installed with the learners, so that it needs no network."""

TIMM = "timm:"
"""What the name of a backbone of timm begins with."""

_HALVES = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

BACKBONES: tuple[str, ...] = (
    "alexnet",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet101_2",
    "wide_resnet50_2",
)
"""The backbones that have a name here: torchvision's classification models and the packaged one, sorted."""


def check_backbone(name: str) -> str:
    """Let a name pass that is known here, or that is said to be timm's: it is asked when the backbone is built.

    Raises:
        ValueError: there is no such backbone; pydantic makes it a fault of the setting.
    """
    if name not in BACKBONES and name.removeprefix(TIMM) in ("", name):
        raise ValueError(f"there is no such backbone; {nearest(name, BACKBONES)}")
    return name


def normalization(name: str, weights: str) -> Normalization:
    """What a backbone expects of its images.

    Args:
        name: of the backbone.
        weights: what it began with, as in the settings.

    Raises:
        ToolkitError: timm has no such backbone.
    """
    if name == PACKAGED:
        return _HALVES
    if name.startswith(TIMM):
        # Here, so that settings cost no torch.
        from finetune.classification.backbone_models import timm_config

        return Normalization(*(tuple(timm_config(name)[key]) for key in ("mean", "std")))
    # The weights of these two came from TensorFlow.
    return _HALVES if name in ("googlenet", "inception_v3") and weights != "none" else IMAGENET
