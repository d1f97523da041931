"""Section III.3: self-attention as a non-Hermitian interaction, and what depth does with it."""

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    Evidence,
    Finding,
    not_measured,
    smallest,
)
from headalgebra.claims.heads import share_of_heads
from headalgebra.claims.rules import FAILED, on_every_order
from headalgebra.claims.statistics import numbers, rank_correlation
from headalgebra.claims.study import Study


def non_hermitian(study: Study) -> Finding:
    """Share of each model's heads that are far from symmetric."""
    from_, most = study.thresholds.hermitian_from, study.thresholds.non_hermitian_share
    return share_of_heads(
        study,
        ("symmetric_share",),
        lambda heads: heads["symmetric_share"] < from_,
        statistic="share of heads that are not Hermitian",
        at_least=most,
        means={"symmetric_share": "mean symmetric share of heads"},
    )


def triangular(study: Study) -> Finding:
    """Attention of decoders to the token itself, which is not zero, and to later ones, which is."""
    if study.counted.empty:
        return study.nothing_counts
    found, beside, doubts = [], [], []
    for model, rows in study.rows("states", study.of_kind("kind", "decoder")):
        own, later = numbers(rows["attention_to_self"]), numbers(rows["attention_to_later"])
        least, most, n = float(own.min()), float(later.max()), len(rows)
        found.append(
            Evidence(
                on=model, statistic="smallest mean attention to the token itself", value=least, n=n
            )
        )
        beside.append(
            Evidence(on=model, statistic="largest attention to a later token", value=most, n=n)
        )
        if most != 0:
            doubts.append(f"{model}: attention of {most:.2g} to a later token")
        if least <= 0:
            # The first token has none but itself to attend to.
            doubts.append(f"{model}: no attention to the token itself")
    if not found:
        return not_measured("no trained decoder could be judged")
    return Finding(
        verdict=NOT_MEASURED if doubts else CONTRADICTED,
        deciding=smallest(found, "smallest mean attention of a layer to the token itself"),
        evidence=(*found, *beside),
        note=FAILED + "; ".join(doubts)
        if doubts
        else "lower triangular, with a diagonal: not strictly so",
    )


SIZES = {
    "update_ratio": "−|δx|/|x| and layer",
    "update_ratio_without_first": "−|δx|/|x|, without the first token, and layer",
}
"""The sizes of an update by column: of all tokens, and where the first has not most of the norm."""


def saturation(study: Study) -> Finding:
    """Rank correlation of the updates' size with the layer; that of all must fall."""
    correlations = {
        model: {
            called: rank_correlation(numbers(rows["layer"]), -numbers(rows[column]), study.seed)
            for column, called in SIZES.items()
        }
        for model, rows in study.rows("states")
    }
    return on_every_order(
        study,
        "smallest Spearman's ρ of −|δx|/|x| and layer",
        correlations,
        fewest=study.thresholds.layers,
        not_judged={},
        nothing=study.nothing_measured,
    )


CLAIMS = (
    Claim(
        id="dyson-nonhermitian",
        title="Attention is non-Hermitian",
        section="III.3",
        statement="the interaction W_q W_kᵀ of a head is generically non-Hermitian",
        paper_value="generically",
        criterion="symmetric share ‖(A + Aᵀ)/2‖²/‖A‖² below {hermitian_from:g} in at least "
        "{non_hermitian_share:.0%} of the heads of every trained model; by chance it is about a "
        "half",
        reads={"normality": ("operator", "quantity", "value")},
        quantities=("symmetric_share",),
        figures=("symmetric_share",),
        rule=non_hermitian,
    ),
    Claim(
        id="dyson-triangular",
        title="The causal interaction is strictly lower triangular",
        section="III.3",
        statement="the causal mask makes the interaction of tokens strictly lower triangular",
        paper_value="strictly lower triangular",
        criterion="a token attends to itself, and the first to nothing else, so that the diagonal "
        "is not zero; borne out where the mean attention to the token itself is above 0, and that "
        "to later tokens exactly 0, in every layer of every trained decoder",
        identity="P_11 = 1",
        reads={"states": ("attention_to_self", "attention_to_later"), "runs": ("kind",)},
        rule=triangular,
    ),
    Claim(
        id="dyson-saturation",
        title="Representations saturate",
        section="III.3",
        statement="representations saturate with depth: layers change them less and less",
        paper_value="a tendency",
        criterion="Spearman's ρ of −|δx|/|x| and layer ≥ {rank_correlation:g}, and such an order "
        "less likely than {significance:g} by chance, in every trained model of at least {layers} "
        "layers, over all tokens, and as the median over tokens with the first of each sequence "
        "left out",
        reads={"states": tuple(SIZES)},
        figures=("saturation",),
        rule=saturation,
    ),
)
