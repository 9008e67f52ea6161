"""What the detectors of ultralytics have in common: data, trainer, figures, pictures, predictions."""
