"""Detector and segmenter together: labels for new images."""
