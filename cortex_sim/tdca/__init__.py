"""Top-down credit assignment: networks that learn to teach, in an inner and an outer loop (on torch)."""
