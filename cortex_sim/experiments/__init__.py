"""Experiments: networks under protocols, arm by arm, carried out by the chosen backend."""
