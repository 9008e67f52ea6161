"""What a network sees of an image: all of it, or squares of it; and the datasets made of that."""
