"""LabelMe: a JSON file for each image, and what `labelme2voc` makes of them."""
