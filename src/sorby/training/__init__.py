"""Training: state, steps, loop and ticks."""
