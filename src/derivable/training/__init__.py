"""Shared code of the chapters in the part "training": one module a chapter."""
