"""The inner loop: many lives at once, each a bottom-up network learning one task from birth."""
