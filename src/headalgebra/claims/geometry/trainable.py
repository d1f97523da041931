"""Section ω + 1: a norm that is learnt."""

from headalgebra.claims.experiments import settled_by

CLAIMS = (
    settled_by(
        "symmetriser",
        "test loss over LayerNorm's, less 1",
        id="geometry-symmetriser",
        title="A learnt block can take LayerNorm's place",
        section="ω + 1",
        statement="a block of parallel heads that learns to normalise, step by step, can take "
        "LayerNorm's place",
        paper_value="a proposal",
        criterion="the test loss of decoders trained here with such a block is above that with "
        "LayerNorm and the same seed by a share that lies below 0.01, from both starts: heads that "
        "share all, which is LayerNorm itself, and heads that share nothing",
    ),
)
