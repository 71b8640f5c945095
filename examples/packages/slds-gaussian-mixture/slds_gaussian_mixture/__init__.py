"""A Bayesian mixture of Gaussians with recognition potentials, as a model of slds-core."""
