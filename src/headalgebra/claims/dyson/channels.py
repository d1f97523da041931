"""Section III.4: heads as channels."""

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Finding
from headalgebra.claims.heads import share_of_heads
from headalgebra.claims.study import Study


def own_blocks(study: Study) -> Finding:
    """Share of each model's heads that act mostly inside their own block of axes."""
    least = study.thresholds.own_block
    return share_of_heads(
        study,
        ("own_block_share", "own_block_chance"),
        lambda heads: heads["own_block_share"] >= least,
        statistic="share of heads that act in their own block",
        at_least=study.thresholds.share,
        means={
            "own_block_share": "mean share of ‖A_h‖² in the head's own block",
            "own_block_chance": "the same by chance",
        },
    )


def low_rank(study: Study) -> Finding:
    """Share of each model's heads whose numerical rank is far below their width."""
    most = study.thresholds.low_rank
    return share_of_heads(
        study,
        ("rank_99", "width"),
        lambda heads: heads["rank_99"] <= most * heads["width"],
        statistic="share of heads of low rank",
        at_least=study.thresholds.share,
        means={
            "rank_99": "mean rank that holds 99 % of ‖A_h‖²",
            "width": "mean width of a head",
        },
    )


CLAIMS = (
    Claim(
        id="dyson-channels",
        title="Heads act in separate blocks",
        section="III.4",
        statement="the state is partitioned among the heads, each of which acts in its own block "
        "alone",
        paper_value="a block-diagonal matrix",
        criterion="share of ‖A_h‖² in the head's own r × r block of axes ≥ {own_block:g} in at "
        "least {share:.0%} of the heads of every trained model",
        reads={"normality": ("operator", "quantity", "value")},
        quantities=("own_block_share", "own_block_chance"),
        rule=own_blocks,
    ),
    Claim(
        id="dyson-low-rank",
        title="Attention has low rank",
        section="III.4",
        statement="self-attention admits low-rank approximations",
        paper_value="a citation",
        criterion="the fewest singular values that hold 99 % of ‖A_h‖² are no more than "
        "{low_rank:g} of the head's width r in at least {share:.0%} of the heads of every trained "
        "model; rank r itself is the architecture's",
        reads={"normality": ("operator", "quantity", "value")},
        quantities=("rank_99", "width"),
        rule=low_rank,
    ),
)
