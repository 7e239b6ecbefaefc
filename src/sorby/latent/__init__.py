"""The space of microstructures that a generator knows: walks, mixtures, directions, and the place of a micrograph."""
