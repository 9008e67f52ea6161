"""What is in a mask: instances, contours, fewer vertices."""
