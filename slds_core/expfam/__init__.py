"""Exponential families of the global factors: natural parameters, log-partitions, expected sufficient statistics."""
