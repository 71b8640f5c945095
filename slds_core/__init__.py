"""Fast, differentiable inference in switching linear dynamical systems, and an audit of it.

Importing this package imports no JAX and changes no setting of it. Its rooms, from the bottom up:

- ``slds_core.expfam``: exponential families of the global factors
- ``slds_core.chains``: exact inference in a Gaussian chain and in a hidden Markov model
- ``slds_core.fixed_point``: the interface, forward solvers, residuals
- ``slds_core.gradients``: gradient estimators
- ``slds_core.models``: structured models as fixed points
- ``slds_core.objectives``: scalar functions of a posterior
- ``slds_core.plugins``: the parameters of each of these, as the configuration knows them
- ``slds_core.study``: configuration, files, stages
- ``slds_core.report``: figures and HTML, from files alone
- ``slds_core.cli``: the command ``slds``

Beside them: ``slds_core.data`` (series to learn from), ``slds_core.learning`` (training), ``slds_core.evaluation`` (what a trained model is
worth on data that it did not see), and ``slds_core.testing`` (checks for authors of plugins).
"""

__version__ = "0.1.0"
