"""The inner loop: many inner runs at once, each a bottom-up network learning one task from the start."""
