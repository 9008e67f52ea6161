"""What runs every learner: settings, run directories, data, trainer."""
