"""Section 3.2: attention scores as angles, and the root of a head's width."""

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import CONTRADICTED, Evidence, Finding, largest, not_measured
from headalgebra.claims.quantities import by, lacking
from headalgebra.claims.statistics import share
from headalgebra.claims.study import Study

R2 = {
    "score_cosine_r2": "",
    "score_cosine_r2_without_first": ", without the first token",
}
LENGTHS = {
    "score_query_variation": "mean variation of queries' lengths",
    "score_key_variation": "mean variation of keys' lengths",
}
"""The standard deviation of lengths over their mean."""


def cosine(study: Study) -> Finding:
    """Share of each model's heads whose scores are mostly a function of the angle."""
    least = study.thresholds.cosine_r2
    called = "share of heads whose scores are functions of the cosine"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("geometry"):
        heads = by(rows, ("layer", "head"), (*R2, *LENGTHS))
        of_both = heads.dropna(subset=list(R2))
        n = len(of_both)
        if not n:
            not_judged[model] = lacking(rows, list(R2))
            continue
        measured[model] = [
            share(model, called + where, int((of_both[column] >= least).sum()), n)
            for column, where in R2.items()
        ]
        beside += [
            Evidence(on=model, statistic=f"{which} R² of scores and cosines{where}", value=v, n=n)
            for column, where in R2.items()
            for which, v in (
                ("mean", float(of_both[column].mean())),
                ("smallest", float(of_both[column].min())),
            )
        ]
        for column, statistic in LENGTHS.items():
            lengths = heads[column].dropna()
            if len(lengths):
                mean, of = float(lengths.mean()), len(lengths)
                beside.append(Evidence(on=model, statistic=statistic, value=mean, n=of))
    return on_every_bound(
        [
            Bound(called=f"smallest {called}{where}", limit=study.thresholds.share)
            for where in R2.values()
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


BEYOND_ONE = "score_beyond_one"


def geodesic(study: Study) -> Finding:
    """Share of visible pairs whose score is no cosine at all."""
    if study.counted.empty:
        return study.nothing_counts
    statistic = "share of pairs with |q·k| > 1"
    found, not_judged = [], {}
    for model, rows in study.rows("geometry"):
        shares = by(rows, ("layer", "head"), (BEYOND_ONE,))[BEYOND_ONE].dropna()
        if shares.empty:
            not_judged[model] = lacking(rows, (BEYOND_ONE,))
            continue
        # Every head of a model sees as many pairs.
        mean, n = float(shares.mean()), len(shares)
        found.append(Evidence(on=model, statistic=statistic, value=mean, n=n))
    aside = "; ".join(f"{model}: {why}" for model, why in not_judged.items())
    if not found:
        return not_measured(aside or study.nothing_measured.note)
    most = largest(found, f"largest {statistic}")
    if most.value == 0:
        none = "no pair has |q·k| > 1, which would show that it is no cosine"
        return not_measured("; ".join(filter(None, (none, aside))), found)
    return Finding(verdict=CONTRADICTED, deciding=most, evidence=tuple(found), note=aside)


WIDTHS = (8, 16, 32, 64, 128)
"""d_k of drawn heads."""

RATIOS = tuple(f"initial_score_variance_ratio_{width}" for width in WIDTHS)
DRAWN = tuple(f"initial_score_std_{width}" for width in WIDTHS)
TRAINED = {"score_std": "", "score_std_without_first": ", without the first token"}


def root_of_width(study: Study) -> Finding:
    """The variance of drawn heads' scores, and the standard deviation of drawn and trained ones."""
    from_, to = study.thresholds.score_std_from, study.thresholds.score_std_to
    one = f"in [{from_:g}, {to:g}]"
    trained = f"share of heads whose scores over √r have a standard deviation {one}"
    ratio = "distance from 1 of var(q·k) over that of independent coordinates, drawn heads"
    deviation = "standard deviation of q·k/√d_k of drawn heads"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("geometry"):
        heads = by(rows, ("layer", "head"), tuple(TRAINED)).dropna()
        why = lacking(rows, (*RATIOS, *DRAWN)) or ("" if len(heads) else lacking(rows, [*TRAINED]))
        if why:
            not_judged[model] = why
            continue
        drawn = rows.set_index("quantity")
        off = (drawn.loc[list(RATIOS), "value"].astype(float) - 1).abs()
        sizes = drawn.loc[list(DRAWN)].astype({"value": float, "null": float})
        widths, n = len(WIDTHS), len(heads)
        measured[model] = [
            Evidence(on=model, statistic=f"largest {ratio}", value=float(off.max()), n=widths),
            *(
                Evidence(on=model, statistic=f"{which} {deviation}", value=float(value), n=widths)
                for which, value in (
                    ("smallest", sizes["value"].min()),
                    ("largest", sizes["value"].max()),
                )
            ),
            *(
                share(model, trained + where, int(heads[column].between(from_, to).sum()), n)
                for column, where in TRAINED.items()
            ),
        ]
        expected = sizes["null"].dropna()
        if len(expected):
            mean, called = float(expected.mean()), f"dσ², the {deviation} that is expected"
            beside.append(Evidence(on=model, statistic=called, value=mean, n=len(expected)))
        beside += [
            Evidence(
                on=model,
                statistic=f"mean standard deviation of trained scores over √r{where}",
                value=float(heads[column].mean()),
                n=n,
            )
            for column, where in TRAINED.items()
        ]
    return on_every_bound(
        [
            Bound(
                called=f"largest {ratio}",
                limit=study.thresholds.variance_ratio_error,
                at_most=True,
            ),
            Bound(called=f"smallest {deviation}", limit=from_),
            Bound(called=f"largest {deviation}", limit=to, at_most=True),
            *(
                Bound(called=f"smallest {trained}{where}", limit=study.thresholds.share)
                for where in TRAINED.values()
            ),
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


CLAIMS = (
    Claim(
        id="geometry-cosine",
        title="Scores are functions of the angle",
        section="3.2",
        statement="queries and keys come from a norm's sphere, which bounds their lengths, so that "
        "scores are mainly a function of the angle between them",
        paper_value="primarily",
        criterion="squared correlation of q·k with cos(q, k) over visible pairs ≥ {cosine_r2:g} in "
        "at least {share:.0%} of the heads of every trained model, over all tokens and with the "
        "first of each sequence left out",
        reads={"geometry": ("head", "quantity", "value", "note")},
        quantities=(*R2, *LENGTHS),
        figures=("scores",),
        rule=cosine,
    ),
    Claim(
        id="geometry-geodesic",
        title="Scores are geodesic distances",
        section="3.2",
        statement="the dot product that attention computes is the distance on the unit sphere, of "
        "which θ = arccos(q·k) is the length",
        paper_value="θ = arccos(q·k)",
        criterion="of unit vectors q·k is at most 1, and arccos is of nothing larger; queries and "
        "keys are linear maps of a norm's output and no unit vectors: contradicted where any pair "
        "of a trained model has |q·k| > 1, and where none has, this test is none",
        identity="|cos θ| ≤ 1",
        reads={"geometry": ("head", "quantity", "value", "note")},
        quantities=(BEYOND_ONE,),
        figures=("scores",),
        rule=geodesic,
    ),
    Claim(
        id="geometry-sqrt-dk",
        title="√d_k restores unit variance",
        section="3.2",
        statement="unit variance of the normalised states makes the variance of q·k grow as d_k, "
        "and division by √d_k restores variance 1",
        paper_value="d_k, and 1",
        criterion="at initialisation, of heads drawn at the model's dimension d with weights of "
        "its initial variance σ², var(q·k) is within {variance_ratio_error:.0%} of that of "
        "independent coordinates for every d_k of 8, 16, 32, 64 and 128, and the standard "
        "deviation of q·k/√d_k itself in [{score_std_from:g}, {score_std_to:g}], where dσ² is "
        "expected, which is 1 for σ² = 1/d alone; and trained, that of scores over √r is in "
        "[{score_std_from:g}, {score_std_to:g}] in at least {share:.0%} of heads, over all tokens "
        "and with the first of each sequence left out; both in every trained model",
        reads={"geometry": ("head", "quantity", "value", "null", "note")},
        quantities=(*RATIOS, *DRAWN, *TRAINED),
        figures=("scores",),
        rule=root_of_width,
    ),
)
