"""Properties from structure, and structure for a property."""
