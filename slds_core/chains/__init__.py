"""Exact inference in one chain: Gaussian chains and hidden Markov models, each with several back ends."""
