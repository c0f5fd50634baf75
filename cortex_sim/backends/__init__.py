"""Backends, which run a declared network: ``torch`` at equilibrium, ``brian2`` in time."""
