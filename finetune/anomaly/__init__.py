"""What anomaly detectors share: maps, thresholds and labels from them."""
