"""YOLO boxes, polygons, oriented boxes and classes."""
