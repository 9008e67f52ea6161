"""Backbones by name: torchvision's, timm's and the packaged one, what they weigh and see, where their weights lie."""
