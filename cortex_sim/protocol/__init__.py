"""Protocols: what is presented, nudged, silenced, cut and plastic, and when; declared without a backend."""
