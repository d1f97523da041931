"""The attention of a variant of an architecture, where its weights are the usual ones."""

from dataclasses import replace

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention, AttentionLayer, Norm
from headalgebra.variants import KEY, SoftHeads, Variant, VariantError

LINEAR = "linear attention takes products of other numbers than queries and keys"
SYMMETRISED = "the symmetriser in front divides each block of a token's axes by a number of its own"


def varied(attention: Attention, said: object, model_type: str, where: str) -> Attention:
    """What a variant makes of the attention of its architecture.

    Parameters
    ----------
    attention
        The usual one.
    said
        What the configuration says under :data:`headalgebra.variants.KEY`.
    model_type, where
        The architecture, and the name of the configuration in errors.

    Raises
    ------
    CheckpointError
        If the variant does not exist, or not for this architecture.
    """
    shape = attention.shape
    try:
        variant = Variant.of_said(said)
        variant.refuse_for(model_type, shape.n_heads, shape.d_model)
    except VariantError as error:
        raise refused(error, where) from error
    layers = tuple(_varied_layer(layer, variant, attention) for layer in attention.layers)
    refusals = dict(attention.refusals)
    if variant.attention == "linear":
        refusals |= {"scale": LINEAR} | {"rope_offset": refusals.get("rope_offset", LINEAR)}
    if variant.normaliser == "symmetriser":
        refusals |= {"fold_norm": SYMMETRISED}
    return replace(attention, layers=layers, refusals=refusals)


def refused(error: VariantError, where: str) -> CheckpointError:
    """What is said of a configuration with a variant that does not exist."""
    return CheckpointError(
        where, f"{KEY}: {error}", "read it with the release of headalgebra that trained it"
    )


def _varied_layer(layer: AttentionLayer, variant: Variant, attention: Attention) -> AttentionLayer:
    shape, scale, soft = attention.shape, layer.scale, None
    if variant.overlap is not None:
        soft = SoftHeads(shape.n_heads, shape.d_head, variant.heads, variant.overlap)
        scale = scale * soft.rescaling
    return replace(layer, norm=_varied_norm(layer.norm, variant), scale=scale, soft=soft)


def _varied_norm(norm: Norm | None, variant: Variant) -> Norm | None:
    if norm is None or variant.normaliser is None:
        return norm
    if variant.normaliser == "none":
        return None
    return replace(norm, centred=variant.normaliser != "rmsnorm")
