"""The shared code of the chapters beside the libraries that people would use instead: ``python -m benchmarks``."""
