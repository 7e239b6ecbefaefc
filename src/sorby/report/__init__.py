"""Reports that a person reads: figures, words, one page."""
