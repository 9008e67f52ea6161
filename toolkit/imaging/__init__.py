"""Images and masks as files."""
