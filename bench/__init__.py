"""Measurements: `make bench`. Figures and how to get them stand in docs/benchmarks.md."""
