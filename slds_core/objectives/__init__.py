"""Objectives: scalar functions of parameters and posterior, what training would differentiate."""
