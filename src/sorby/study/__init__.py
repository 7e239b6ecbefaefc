"""Studies: many trainings that answer one question, with a table and a figure."""
