"""Experiments: networks under protocols, arm by arm, carried out by whichever backend is asked for."""
