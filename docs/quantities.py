"""What the pages say of the study `demo`: every number and every statement, by its name there.

A number is what its tables give now. A statement is a sentence of a page that rests on the tables;
the page keeps its words, and here stands when they are true.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from headalgebra.claims.linf.paper import JACOBIATOR_RANGE
from headalgebra.claims.readme import findings_table
from headalgebra.claims.wording import ROUNDING
from kept_experiments import kept_experiments, with_experiments
from study_tables import Tables, between, each, number

ENCODER, ENCODER_INITIAL = "minilm", "minilm-init"
DECODER, DECODER_INITIAL = "smollm2", "smollm2-init"
"""The models that the pages speak of: all-MiniLM-L6-v2 and SmolLM2-135M-Instruct, each beside its
architecture at initialisation."""

NEAR = 4 / 3
"""Two sizes are about the same when neither is more than this times the other."""


# ------ Columns


def layers(study: Tables, column: str, model: str = ENCODER) -> pd.Series:
    """A column of layers.csv, of one model."""
    return study.column("layers", column, model=model)


def null(
    study: Tables, kind: str, quantity: str, column: str = "mean", model: str = ENCODER
) -> pd.Series:
    """What a null of a trained model gives for a quantity."""
    return study.column("nulls", column, model=model, null=kind, quantity=quantity)


def beyond_every_draw(study: Tables, kind: str, quantity: str, model: str = ENCODER) -> pd.Series:
    """1 in layers above all draws of a null, −1 below all, 0 among them."""
    p, draws = (null(study, kind, quantity, column, model) for column in ("p_value", "n"))
    side = (layers(study, quantity, model) > null(study, kind, quantity, model=model)) * 2 - 1
    # With none of n draws on its far side, a layer has the least p-value there is, 2/(n + 1).
    return side.where(p * (draws + 1) < 3, 0)


def jacobiator(study: Tables, operand: str, model: str = ENCODER) -> pd.DataFrame:
    """‖J‖ of a trained model by layer and floating-point type."""
    where = {"model": model, "operand": operand}
    types, norms = (
        study.column("precision", column, **where) for column in ("dtype", "jacobi_mean")
    )
    return norms.to_frame().assign(dtype=types).pivot(columns="dtype", values="jacobi_mean")


def orders_of_magnitude(study: Tables) -> float:
    """How far ‖J‖ goes from one floating-point type to another, on the operands where it is less.

    Its geometric mean over the layers, as the figure draws it.
    """
    orders = []
    for operand in ("raw", "basis"):
        means = np.log10(jacobiator(study, operand)).mean()
        orders.append(means.max() - means.min())
    return min(orders)


def slope(study: Tables, operand: str) -> float:
    """Of ‖J‖ against the unit roundoff, both logarithmic."""
    statistic = f"slope of ‖J‖ in the unit roundoff, {operand} operands"
    found = study.column("evidence", "value", id="jacobi-range", on=ENCODER, statistic=statistic)
    return found.iloc[0]


def coverage(study: Tables) -> str:
    """How often the interval of uniform tuples has the exact value, in percent."""
    share = study.column("sampling", "coverage", model=ENCODER, estimator="uniform")
    return each(100 * share)


def shape(study: Tables, model: str = ENCODER) -> str:
    """Layers, heads and width of a trained model, and its keys where heads share them."""
    n_layers, heads, keys, d = (
        layers(study, column, model).iloc[0]
        for column in ("n_layers", "n_heads", "n_kv_heads", "d_model")
    )
    shared = f" on {keys} keys" if keys < heads else ""
    return f"{n_layers} layers, {heads} heads{shared} and d = {d}"


def closure_over(study: Tables, kind: str) -> pd.Series:
    """Closure of the encoder over the mean of a null's draws."""
    return layers(study, "closure_isotropy") / null(study, kind, "closure_isotropy")


def of_decoder(study: Tables, column: str) -> pd.Series:
    """A column of layers.csv, of the decoder."""
    return layers(study, column, DECODER)


def decoder_null(study: Tables, kind: str, quantity: str) -> pd.Series:
    """The mean of a null's draws beside the decoder."""
    return null(study, kind, quantity, model=DECODER)


def decoder_over_closed_form(study: Tables) -> pd.Series:
    """ε of the decoder over what independent turns of all its heads would give."""
    return of_decoder(study, "epsilon") / of_decoder(study, "epsilon_haar")


def closes_less_than_turned(study: Tables) -> str:
    """In how many layers the decoder closes less than every draw of heads turned key by key."""
    sides = beyond_every_draw(study, "haar", "closure_isotropy", DECODER)
    return f"{(sides < 0).sum()} of {len(sides)}"


def in_ledger(study: Tables) -> pd.DataFrame:
    """The claims as the study has them, but for those that the experiments kept are about."""
    return with_experiments(study["claims"], kept_experiments())


def judged(study: Tables, verdict: str) -> int:
    """How many claims have a verdict."""
    return int((in_ledger(study)["verdict"] == verdict).sum())


NUMBERS: Mapping[str, Callable[[Tables], str]] = {
    "findings": lambda s: f"\n\n{findings_table(in_ledger(s))}\n",
    "claims": lambda s: str(len(in_ledger(s))),
    "forbidden": lambda s: str(judged(s, "contradicted by an identity")),
    "forced": lambda s: str(judged(s, "true of anything")),
    "shape": shape,
    "decoder_shape": lambda s: shape(s, DECODER),
    "decoder_type": lambda s: of_decoder(s, "quantisation").iloc[0],
    # ε
    "epsilon_over_haar": lambda s: between(layers(s, "epsilon_null_ratio")),
    "epsilon_over_haar_initial": lambda s: between(
        layers(s, "epsilon_null_ratio", ENCODER_INITIAL)
    ),
    "decoder_epsilon_first": lambda s: number(of_decoder(s, "epsilon").iloc[0]),
    "decoder_epsilon_second": lambda s: number(of_decoder(s, "epsilon").iloc[1]),
    "decoder_epsilon_last": lambda s: number(of_decoder(s, "epsilon").iloc[-1]),
    "decoder_over_haar_first": lambda s: number(of_decoder(s, "epsilon_null_ratio").iloc[0]),
    "decoder_over_haar_later": lambda s: between(of_decoder(s, "epsilon_null_ratio").iloc[1:]),
    "decoder_over_closed_form_first": lambda s: number(decoder_over_closed_form(s).iloc[0]),
    "decoder_over_closed_form_later": lambda s: between(decoder_over_closed_form(s).iloc[1:]),
    "epsilon_relative": lambda s: between(layers(s, "epsilon_relative")),
    "epsilon_relative_pooled": lambda s: between(null(s, "pooled", "epsilon_relative")),
    # Closure, (1 − χ) d²/n
    "closure": lambda s: each(layers(s, "closure_isotropy")),
    "closure_initial": lambda s: between(layers(s, "closure_isotropy", ENCODER_INITIAL)),
    "decoder_closure": lambda s: between(of_decoder(s, "closure_isotropy")),
    "decoder_closure_initial": lambda s: between(layers(s, "closure_isotropy", DECODER_INITIAL)),
    "decoder_closure_gaussian": lambda s: between(decoder_null(s, "gaussian", "closure_isotropy")),
    "decoder_closure_haar": lambda s: between(decoder_null(s, "haar", "closure_isotropy")),
    "decoder_closure_layers": lambda s: between(decoder_null(s, "layers", "closure_isotropy")),
    "decoder_closure_pooled_first": lambda s: number(
        decoder_null(s, "pooled", "closure_isotropy").iloc[0]
    ),
    "decoder_closure_pooled_later": lambda s: between(
        decoder_null(s, "pooled", "closure_isotropy").iloc[1:]
    ),
    "decoder_below_haar": closes_less_than_turned,
    "closure_pooled": lambda s: each(null(s, "pooled", "closure_isotropy")),
    "closure_haar": lambda s: between(null(s, "haar", "closure_isotropy")),
    "closure_layers": lambda s: between(null(s, "layers", "closure_isotropy")),
    "closure_over_haar": lambda s: between(closure_over(s, "haar"), 2),
    "closure_over_haar_first": lambda s: number(closure_over(s, "haar").iloc[0], 2),
    "closure_over_haar_last": lambda s: number(closure_over(s, "haar").iloc[-1], 2),
    "closure_over_pooled_first": lambda s: number(closure_over(s, "pooled").iloc[0], 2),
    "closure_over_pooled_last": lambda s: number(closure_over(s, "pooled").iloc[-1], 2),
    "pooled_closure_over_haar": lambda s: between(
        null(s, "pooled", "closure_isotropy") / null(s, "haar", "closure_isotropy"), 2
    ),
    # ρ₃
    "rho3": lambda s: each(layers(s, "rho3")),
    "rho3_pooled": lambda s: between(null(s, "pooled", "rho3")),
    "rho3_haar": lambda s: between(null(s, "haar", "rho3")),
    "rho3_layers_first": lambda s: number(null(s, "layers", "rho3").iloc[0]),
    "decoder_rho3": lambda s: between(of_decoder(s, "rho3")),
    "decoder_rho3_haar": lambda s: between(decoder_null(s, "haar", "rho3")),
    "decoder_rho3_pooled": lambda s: between(decoder_null(s, "pooled", "rho3")),
    "decoder_rho3_gaussian": lambda s: between(decoder_null(s, "gaussian", "rho3")),
    # J. Its digits are rounding, which another machine does not share.
    "jacobi_over_noise": lambda s: between(
        s.column("layers", "jacobi_rms") / s.column("layers", "jacobi_noise"), 1
    ),
    "jacobi_bound": lambda s: number(layers(s, "jacobi_bound").max()),
    "jacobi_orders": lambda s: f"{orders_of_magnitude(s):.0f}",
    "jacobi_slope_raw": lambda s: number(slope(s, "raw"), 2),
    "jacobi_slope_basis": lambda s: number(slope(s, "basis"), 2),
    # The obstruction
    "obstruction": lambda s: between(layers(s, "obstruction_rms"), 2),
    "obstruction_initial": lambda s: between(layers(s, "obstruction_rms", ENCODER_INITIAL), 2),
    "obstruction_haar": lambda s: number(2 / layers(s, "d_model").iloc[0], 2),
    "hochschild_residual": lambda s: number(layers(s, "hochschild_residual").max()),
    # Constructed layers
    "constructed": lambda s: str(len(s["conditioning"])),
    "constructed_kappa": lambda s: between(s.column("conditioning", "kappa"), 2),
    "constructed_dense_error": lambda s: number(s.column("conditioning", "dense_error").max()),
    "constructed_sampled_error": lambda s: number(
        s.column("conditioning", "sampled_error").max(), 2
    ),
    # Of trained layers, held against the exact value
    "uniform_coverage": coverage,
}


# ------ Statements


def falls_from_first_to_last(study: Tables) -> bool:
    """Whether ε of both is largest in the first layer and smallest in the last."""
    both = [layers(study, "epsilon", model) for model in (ENCODER, DECODER)]
    return all(one.idxmax() == one.index[0] and one.idxmin() == one.index[-1] for one in both)


def first_nearest_jacobi(study: Tables) -> bool:
    """Whether ρ₃ of the first layer is less than in any draw of any null there."""
    table = study["nulls"]
    kinds = table.loc[(table["model"] == ENCODER) & (table["quantity"] == "rho3"), "null"].unique()
    return all(beyond_every_draw(study, kind, "rho3").iloc[0] < 0 for kind in kinds)


def only_raw_in_16_bits(study: Tables) -> bool:
    """Whether ‖J‖ reaches the paper's range with operators as they are, in both 16-bit types.

    And nowhere else.
    """
    raw, basis = jacobiator(study, "raw"), jacobiator(study, "basis")
    short = ["float16", "bfloat16"]
    beyond = raw >= JACOBIATOR_RANGE[0]
    elsewhere = beyond.drop(columns=short).any(axis=None) or (basis >= JACOBIATOR_RANGE[0]).any(
        axis=None
    )
    return bool(beyond[short].all(axis=None) and not elsewhere)


def beyond_its_range_in_float32(study: Tables) -> bool:
    """Whether ‖J‖ of the decoder's first layer is above the paper's range in float32, too."""
    return bool(jacobiator(study, "raw", DECODER)["float32"].iloc[0] > JACOBIATOR_RANGE[1])


def shares_close(study: Tables) -> bool:
    """Whether the decoder's heads, turned key by key, still close beyond all that are drawn anew.

    In every layer after the first the mean of the Haar draws, and the layer itself, close more
    than any pooled or Gaussian draw.
    """
    own, turned = (
        of_decoder(study, "closure_isotropy"),
        decoder_null(study, "haar", "closure_isotropy"),
    )
    highest = [
        null(study, kind, "closure_isotropy", "high", DECODER) for kind in ("pooled", "gaussian")
    ]
    return all((one > high).iloc[1:].all() for one in (own, turned) for high in highest)


def others_close_beyond_pooled(study: Tables) -> bool:
    """Whether heads of other layers close more than heads drawn alike, in every layer."""
    others = null(study, "layers", "closure_isotropy")
    return bool((others > null(study, "pooled", "closure_isotropy", "high")).all())


def own_beside_others(study: Tables) -> bool:
    """Whether the first layer closes more than all draws of other layers' heads, the last less."""
    sides = beyond_every_draw(study, "layers", "closure_isotropy")
    return bool(sides.iloc[0] > 0 and sides.iloc[-1] < 0)


STATEMENTS: Mapping[str, Callable[[Tables], bool]] = {
    "phase_one": lambda s: bool((layers(s, "phase") == "I").all()),
    "decoder_phase_three": lambda s: bool((of_decoder(s, "phase") == "III").all()),
    "epsilon_falls": falls_from_first_to_last,
    "commutes_beyond_pooled": lambda s: all(
        (beyond_every_draw(s, "pooled", quantity) < 0).all()
        for quantity in ("epsilon", "epsilon_relative")
    ),
    "decoder_commutes_beyond_pooled": lambda s: bool(
        (beyond_every_draw(s, "pooled", "epsilon", DECODER).iloc[1:] < 0).all()
    ),
    "decoder_rho3_below_pooled": lambda s: bool(
        (beyond_every_draw(s, "pooled", "rho3", DECODER).iloc[1:] < 0).all()
    ),
    "decoder_shares_close": shares_close,
    "decoder_first_in_float32": beyond_its_range_in_float32,
    "commutes_as_haar": lambda s: bool(
        layers(s, "epsilon_null_ratio").between(1 / NEAR, NEAR).all()
    ),
    "closes_beyond_pooled": lambda s: bool(
        (beyond_every_draw(s, "pooled", "closure_isotropy") > 0).all()
    ),
    "others_close_beyond_pooled": others_close_beyond_pooled,
    "own_beside_others": own_beside_others,
    "first_nearest_jacobi": first_nearest_jacobi,
    "slope_under_one": lambda s: all(0.9 < slope(s, of) < 1 for of in ("raw", "basis")),
    "only_raw_in_16_bits": only_raw_in_16_bits,
    "random_close_too": lambda s: bool(
        (layers(s, "coherence_residual", ENCODER_INITIAL) < ROUNDING).all()
    ),
    "dense_is_nearer": lambda s: bool(
        (s.column("conditioning", "dense_error") < s.column("conditioning", "sampled_error")).all()
    ),
    "action_of_both_signs": lambda s: layers(s, "action").min() < 0 < layers(s, "action").max(),
}
