"""What classifiers share: backbones, optimisers, inference, plots."""
