"""Section ω + 1: a norm that is learnt."""

from headalgebra.claims.claim import awaiting_experiment

CLAIMS = (
    awaiting_experiment(
        "geometry-symmetriser",
        title="A learnt block can take LayerNorm's place",
        section="ω + 1",
        statement="a block of parallel heads that learns to normalise, step by step, can take "
        "LayerNorm's place",
        paper_value="a proposal",
        missing="training run of a decoder with such a block beside one with LayerNorm",
    ),
)
