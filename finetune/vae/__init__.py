"""The anomaly detector that learns from good images alone."""
