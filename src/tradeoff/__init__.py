"""Tradeoff: optimization as a service for competing objectives."""

from tradeoff.client import Client

__version__ = "0.1.0"

__all__ = ["Client", "__version__"]
