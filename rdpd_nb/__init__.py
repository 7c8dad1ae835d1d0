"""Helpers of the RDPD notebooks: what they would otherwise repeat, and nothing more."""

__version__ = "0.1.0"
