"""Decoders that compute one part of themselves in another way: attention, heads or norms.

A model that is such a variant says so in its configuration, under :data:`KEY`, which transformers
passes over without a word. Whoever reads a configuration has to ask :func:`variant_of`. Each is
affine where its attention, the scales of its norms and its activations are held, so that its states
are measured as those of the usual model.
"""

from headalgebra.variants.soft_heads import SoftHeads
from headalgebra.variants.variant import KEY, OWN_NORMALISER, Variant, VariantError, variant_of

__all__ = ["KEY", "OWN_NORMALISER", "SoftHeads", "Variant", "VariantError", "variant_of"]
