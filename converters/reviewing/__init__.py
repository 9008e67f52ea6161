"""From decisions made in a gallery to corrected labels."""
