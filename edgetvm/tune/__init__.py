"""Search for what rules would decide better: candidates are built as they ship, checked, measured and recorded."""
