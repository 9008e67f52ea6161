"""What a trained model leaves on disk: predictions as they come, and files that other programs run it from."""
