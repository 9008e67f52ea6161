"""VIA 2, the VGG Image Annotator: projects, and annotations exported from them as JSON or CSV."""
