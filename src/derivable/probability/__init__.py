"""Shared code of the chapters in the part "probability": one module a chapter."""
