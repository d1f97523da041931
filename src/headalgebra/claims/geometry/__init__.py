"""What *A Geometric and Information-Theoretic Interpretation* claims of a block's parts."""
