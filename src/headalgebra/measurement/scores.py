"""Rows of the table `geometry`: attention scores as angles."""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from headalgebra.geometry.scores import INITIAL_WIDTHS, HeadScores, head_scores, initial_scores
from headalgebra.measurement._geometry import geometry_row
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed
from headalgebra.states import FrozenBlock, Recording
from headalgebra.states.patterns import visible_pairs

USUAL_DEVIATION = 0.02
"""Of initial weights, where a model's configuration does not say."""

ALL_ALIKE = "all scores are alike"


class Scores:
    """How large attention scores are, and what their angle says of them, by head."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def add(self, block: FrozenBlock) -> None:
        """Measure the heads of the next block."""
        assert block.inside is not None
        if not block.inside.attention:
            note = "the family computes attention in code of its own"
            self._rows += [
                geometry_row(block.layer, f"score_{field.name}", None, note=note)
                for field in fields(HeadScores)
            ]
            return
        (seen,) = block.inside.attention
        visible = visible_pairs(block.probabilities)
        for first, where in enumerate(("", "_without_first")):
            found = head_scores(seen.query, seen.key, visible, first_token=first)
            self._rows += [
                geometry_row(
                    block.layer, f"score_{field.name}{where}", value, head=head, unless=ALL_ALIKE
                )
                for field in fields(found)
                for head, value in enumerate(getattr(found, field.name).tolist())
            ]

    def rows(self) -> list[Row]:
        """Of every head, with and without the first token of each sequence."""
        return self._rows


def initial_rows(recording: Recording, seed: int) -> Iterable[Row]:
    """Scores of drawn heads of several widths, at the model's dimension."""
    d = recording.state(0, slice(0, 1)).shape[-1]
    config = recording.stack.module.config
    deviation = getattr(config, "initializer_range", None) or USUAL_DEVIATION
    note = f"weights drawn with standard deviation {deviation:g}"
    for width in INITIAL_WIDTHS:
        generator = np.random.default_rng(layer_seed(seed, "initial_scores", width))
        std, ratio = initial_scores(d, width, deviation, generator)
        yield geometry_row(
            None, f"initial_score_std_{width}", std, null=d * deviation**2, note=note
        )
        yield geometry_row(
            None, f"initial_score_variance_ratio_{width}", ratio, null=1.0, note=note
        )
