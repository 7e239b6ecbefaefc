"""Microstructures whose truth is known."""
