"""CVAT's "CVAT for images 1.1": one XML file for many images."""
