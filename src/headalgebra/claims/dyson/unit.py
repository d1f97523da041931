"""Section III.1: attention couples tokens, the feed-forward part does not."""

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import TRUE_OF_ANYTHING, Evidence, Finding
from headalgebra.claims.rules import on_identity
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study


def local(study: Study) -> Finding:
    """Change of a token's feed-forward output when another token is perturbed: none at all."""
    found, doubts = [], []
    statistic = "largest relative change of the feed-forward output of another token"
    for model, rows in study.rows("guards"):
        change = numbers(rows["value"].dropna())
        if not len(change):
            continue
        most = float(change.max())
        if most != 0:
            doubts.append(f"{model}: another token's output changes by {most:.2g}")
        found.append(Evidence(on=model, statistic=statistic, value=most, n=len(change)))
    judged = {number.on for number in found}
    ran = [*study.of_kind("kind", "encoder"), *study.of_kind("kind", "decoder")]
    unasked = [model for model in ran if model not in judged]
    return on_identity(
        study,
        TRUE_OF_ANYTHING,
        statistic,
        found,
        doubts=doubts,
        not_judged=dict.fromkeys(unasked, "no token was perturbed before its feed-forward part"),
        nothing=study.nothing_measured.note,
    )


CLAIMS = (
    Claim(
        id="dyson-local",
        title="The feed-forward part is local",
        section="III.1",
        statement="the feed-forward part of a block acts on each token by itself and couples none",
        paper_value="no coupling",
        criterion="it is applied token by token, so true of anything; borne out where perturbing "
        "a token leaves the feed-forward output of every other one exactly as it was",
        identity="∂ffn(x)_i/∂x_j = 0 for i ≠ j",
        reads={"guards": ("guard", "value"), "runs": ("kind",)},
        quantities=("feed-forward locality",),
        rule=local,
    ),
)
