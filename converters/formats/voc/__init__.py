"""Pascal VOC: boxes in an XML file an image, masks in SegmentationClass and SegmentationObject."""
