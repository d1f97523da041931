"""What the pages say of the models of the study `demo` as they read a text.

As in `quantities`: a number is what the tables give, a statement is true or the page is wrong.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from headalgebra.defaults import CONVERGED_BELOW
from quantities import DECODER, DECODER_INITIAL, ENCODER, ENCODER_INITIAL
from study_tables import Tables, between, number


def orders(study: Tables, column: str, model: str) -> pd.Series:
    """A column of dyson.csv by order."""
    rows = study.rows("dyson", model=model)
    return rows.set_index("order")[column]


def converged_at(study: Tables, model: str) -> int:
    """Least order from which on the partial sum stays within a tenth of the last state."""
    errors = orders(study, "partial_error", model).to_numpy()
    return int((errors > CONVERGED_BELOW).nonzero()[0][-1]) + 1


def resummed(study: Tables, sequence: str) -> pd.Series:
    """Median errors by method from half of the decoder's depth."""
    rows = study.rows("resummation", model=DECODER, sequence=sequence)
    half = -(-int(orders(study, "norm", DECODER).index.max()) // 2)
    return rows[rows["m"] == half].set_index("method")["median"]


def best_resummed(study: Tables, sequence: str) -> float:
    """The least of them that is a resummation's."""
    return float(resummed(study, sequence).drop(["last", "linear"]).min())


def of_heads(study: Tables, quantity: str, model: str) -> pd.Series:
    """Mean over the heads of each layer."""
    rows = study.rows("normality", model=model, quantity=quantity)
    rows = rows[rows["operator"].str.startswith("head ")]
    return rows.groupby("layer")["value"].mean()


def convolved(study: Tables, model: str, quantity: str = "convolution_share") -> pd.Series:
    """Mean over the heads of each layer."""
    rows = study.rows("convolution", model=model, quantity=quantity)
    return rows.groupby("layer")["value"].mean()


def of_states(study: Tables, column: str, model: str) -> pd.Series:
    """A column of states.csv by layer."""
    return study.rows("states", model=model).set_index("layer")[column]


def outlier(study: Tables) -> int:
    """The decoder's layer, after the first, whose update is most of all that of first tokens."""
    every, later = (
        of_states(study, f"update_ratio{which}", DECODER) for which in ("", "_without_first")
    )
    return int((every / later).to_numpy()[1:].argmax()) + 1


NUMBERS_OF_STATES: Mapping[str, Callable[[Tables], str]] = {
    "read": lambda s: "{} sequences of {} tokens".format(
        *s.rows("runs", model=DECODER)[["sequences", "tokens"]].iloc[0]
    ),
    "decoder_order_peak": lambda s: str(orders(s, "norm", DECODER).idxmax()),
    "decoder_order_size": lambda s: number(orders(s, "norm", DECODER).max(), 2),
    "decoder_converged": lambda s: str(converged_at(s, DECODER)),
    "decoder_initial_converged": lambda s: str(converged_at(s, DECODER_INITIAL)),
    "encoder_order_peak": lambda s: str(orders(s, "norm", ENCODER).idxmax()),
    "encoder_order_size": lambda s: number(orders(s, "norm", ENCODER).max(), 2),
    "encoder_initial_converged": lambda s: str(converged_at(s, ENCODER_INITIAL)),
    "decoder_states_last": lambda s: number(resummed(s, "states")["last"]),
    "decoder_states_resummed": lambda s: number(best_resummed(s, "states")),
    "decoder_sums_last": lambda s: number(resummed(s, "orders")["last"], 2),
    "decoder_sums_resummed": lambda s: number(best_resummed(s, "orders"), 2),
    "encoder_symmetric": lambda s: between(of_heads(s, "symmetric_share", ENCODER), 2),
    "decoder_symmetric": lambda s: between(of_heads(s, "symmetric_share", DECODER), 2),
    "encoder_convolution": lambda s: between(convolved(s, ENCODER), 2),
    "decoder_convolution": lambda s: between(convolved(s, DECODER), 2),
    "decoder_gradient": lambda s: between(convolved(s, DECODER, "gradient_cosine"), 2),
    "decoder_outlier": lambda s: str(outlier(s)),
    "decoder_first_token_update": lambda s: number(
        of_states(s, "update_ratio", DECODER)[outlier(s)], 2
    ),
    "decoder_update_without_first": lambda s: number(
        of_states(s, "update_ratio_without_first", DECODER)[outlier(s)], 2
    ),
}

STATEMENTS_OF_STATES: Mapping[str, Callable[[Tables], bool]] = {
    "encoder_converges_last": lambda s: (
        converged_at(s, ENCODER) == orders(s, "norm", ENCODER).index.max()
    ),
    "states_not_resummed": lambda s: (
        best_resummed(s, "states") > 0.9 * resummed(s, "states")["last"]
    ),
}
