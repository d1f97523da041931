"""What the abstract of *Coinductive guide to inductive transformer heads* claims."""
