"""How far from normal an operator is, and what a spectrum alone leaves unsaid of it."""
