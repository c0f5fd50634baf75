"""Neural data from files, in the shape of a recording."""
