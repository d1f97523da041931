"""Where states lie, and what norms, feed-forward parts, heads and axes make of them (paper 002)."""
