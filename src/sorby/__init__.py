"""Learn the microstructure of an alloy from a few micrographs, and draw new ones in micrometres."""
