"""Shared code of the chapters in the part "generative": one module a chapter."""
