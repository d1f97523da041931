"""What of a decoder is computed in another way, and how its configuration says so."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

KEY = "headalgebra_variant"
"""Of a configuration: the fields of a :class:`Variant` that are not as usual."""

OWN_NORMALISER = {"gpt2": "layernorm", "llama": "rmsnorm"}
"""Of the architectures that variants are defined for, by `model_type`."""

AttentionKind = Literal["softmax", "window", "linear"]
HeadKind = Literal["hard", "triangular", "sine"]
Normaliser = Literal["layernorm", "rmsnorm", "none", "symmetriser"]
Mixing = Literal["uniform", "identity"]

KINDS = {
    "attention": (get_args(AttentionKind), False),
    "heads": (get_args(HeadKind), False),
    "normaliser": (get_args(Normaliser), True),
    "mixing": (get_args(Mixing), True),
}
"""What the fields that are words may be, and whether they may be left out."""


class VariantError(ValueError):
    """A variant that does not exist, or that an architecture cannot have."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What of a decoder is computed in another way than its architecture has it.

    Attributes
    ----------
    attention
        ``"softmax"``; ``"window"``, of the last tokens alone; or ``"linear"``, where φ(q)·φ(k) with
        φ = elu + 1 stands in place of the exponential (Katharopoulos et al., 2020).
    width
        Tokens in the window, the looking one among them; None without one.
    heads
        ``"hard"``, blocks of axes; or soft ones that overlap, their windows ``"triangular"`` or
        ``"sine"`` (002, section 5.4): :class:`headalgebra.variants.SoftHeads`.
    overlap
        Of soft heads: the share of a head's width over which its window gives way to the next, from
        0, which is hard heads, to 1.
    normaliser
        ``"layernorm"``, ``"rmsnorm"``, ``"none"`` or the ``"symmetriser"`` (002, section ω + 1), in
        place of every norm of the model; None is the architecture's own.
    mixing
        Of the symmetriser: what its heads' mixing starts from, ``"uniform"``, where it is a
        LayerNorm, or ``"identity"``, where each head is on its own.

    Raises
    ------
    VariantError
        If a value is none of these, or one is given that has no meaning beside the others.

    References
    ----------
    Katharopoulos et al. (2020), "Transformers are RNNs: fast autoregressive transformers with
    linear attention", https://arxiv.org/abs/2006.16236.
    """

    attention: AttentionKind = "softmax"
    width: int | None = None
    heads: HeadKind = "hard"
    overlap: float | None = None
    normaliser: Normaliser | None = None
    mixing: Mixing | None = None

    def __post_init__(self) -> None:
        """Refuse what does not exist or goes not together."""
        _refuse_impossible(asdict(self))

    @property
    def varies_attention(self) -> bool:
        """Whether attention is another function of queries, keys and values than usual."""
        return self.attention != "softmax" or self.heads != "hard"

    def said(self) -> dict[str, Any]:
        """The fields that are not as usual, as a configuration says them; none of a usual model."""
        usual = Variant.__dataclass_fields__
        return {name: it for name, it in asdict(self).items() if it != usual[name].default}

    @classmethod
    def of_said(cls, said: object) -> "Variant":
        """The variant that a configuration says.

        Raises
        ------
        VariantError
            If it says no variant, or one that does not exist.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(said, Mapping) or not said:
            raise VariantError(f"{said!r} says no variant")
        if unknown := sorted(set(map(str, said)) - set(known)):
            raise VariantError(f"{unknown[0]} is none of {', '.join(known)}")
        _refuse_impossible(asdict(USUAL) | dict(said))
        return cls(**said)

    def refuse_for(self, model_type: str, n_heads: int, d_model: int) -> None:
        """Raise if an architecture of these sizes cannot have it.

        Raises
        ------
        VariantError
            Says why.
        """
        if model_type not in OWN_NORMALISER:
            raise VariantError(f"no variant is defined for {model_type}")
        if self.heads != "hard" and model_type != "gpt2":
            raise VariantError(
                f"{model_type} turns pairs of axes with the position, which a window of soft heads "
                "weighs differently: scores would depend on where a text begins"
            )
        if self.heads != "hard" and n_heads < 2:
            raise VariantError("one soft head has no other to overlap with")
        if self.normaliser == "symmetriser" and d_model % n_heads:
            raise VariantError(f"{n_heads} heads of a symmetriser do not divide {d_model} axes")


def _refuse_impossible(given: Mapping[str, Any]) -> None:
    """Raise on the first value that no variant has, or that has no meaning beside the others."""
    for name, (kinds, optional) in KINDS.items():
        if given[name] not in kinds and not (optional and given[name] is None):
            raise VariantError(f"{name} {given[name]!r} is none of {', '.join(kinds)}")
    width, overlap, soft = given["width"], given["overlap"], given["heads"] != "hard"
    for name, needed, owner in (
        ("width", given["attention"] == "window", "attention: window"),
        ("overlap", soft, "soft heads"),
        ("mixing", given["normaliser"] == "symmetriser", "normaliser: symmetriser"),
    ):
        if needed and given[name] is None:
            raise VariantError(f"{name} is missing, for {owner}")
        if not needed and given[name] is not None:
            raise VariantError(f"{name} is given without {owner}")
    if width is not None and (type(width) is not int or width < 1):
        raise VariantError(f"width {width!r} is no number of tokens from 1 on")
    if overlap is not None and not (type(overlap) in (int, float) and 0 <= overlap <= 1):
        raise VariantError(f"overlap {overlap!r} is not from 0 to 1")
    if soft and given["attention"] == "linear":
        raise VariantError("linear attention of soft heads is not defined")


USUAL = Variant()


def variant_of(config: object) -> Variant:
    """The variant that a configuration of transformers says; the usual model where it says none.

    Raises
    ------
    VariantError
        As :meth:`Variant.of_said`.
    """
    said = getattr(config, KEY, None)
    return USUAL if said is None else Variant.of_said(said)
