"""Protocols: what is shown, nudged, silenced, cut and let learn, and when; declared without a backend."""
