"""Non-convex functions: a population's biases are the point, its credit decides how the point moves."""
