"""Scores of generated images against real ones, in the features of a named network."""
