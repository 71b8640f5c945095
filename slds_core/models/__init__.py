"""Structured models: what their potentials are, how a sweep goes, what bound it raises."""
