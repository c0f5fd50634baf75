"""Studies of many outer loops: jobs in order, each run once, resumed, kept and compared."""
