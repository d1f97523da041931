"""What *On the L∞-algebra structure of transformer attention mechanisms* claims."""
