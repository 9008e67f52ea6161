"""What to know before an epoch is trained or a figure believed: of the images, of the settings, of what was seen."""
