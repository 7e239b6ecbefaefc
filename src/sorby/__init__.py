"""Learn the microstructure of an alloy from a few micrographs, and draw new ones in micrometres."""

from importlib.metadata import version

__version__ = version("sorby")
