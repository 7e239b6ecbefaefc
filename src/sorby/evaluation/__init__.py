"""Generated against real: scores, metallography, copies and leaks, with the real-against-real floor."""
