"""Derivable: deep-learning mathematics whose derivations run."""

__version__ = "0.1.0"
