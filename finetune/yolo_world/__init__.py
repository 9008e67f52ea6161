"""Words to boxes."""
