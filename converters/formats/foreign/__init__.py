"""What readers of other tools' labels share: values, images and their labels, signs of files."""
