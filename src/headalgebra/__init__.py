"""Operator algebra of attention heads: what a trained layer's commutators do and do not carry."""
