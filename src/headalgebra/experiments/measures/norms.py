"""What another normaliser does to training and to drift (002, sections 3.3 and ω + 1)."""

import math

from headalgebra.defaults import SEQUENCES
from headalgebra.experiments.measures.losses import test_loss
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.run import Run
from headalgebra.measurement.drift import measure_drift


def normaliser(run: Run) -> list[Value]:
    """The loss, the largest gradient of all steps, and how drift grows with the window's slide.

    ``largest_gradient_norm`` is the largest over steps of the norm of the gradient of all blocks
    together, before clipping; that of embeddings is not written down. ``drift`` is of the last
    state of the last checkpoint, before the norm that reads it: its median drift when a window
    slides by a quarter of its length, over that when it slides by an eighth, in windows of
    :data:`~headalgebra.defaults.SEQUENCES` test sequences
    (:func:`headalgebra.measurement.drift.measure_drift`).
    """
    blocks = run.metrics.filter(regex=r"^gradient_block_\d+$")
    norms = blocks.pow(2).sum(axis=1, skipna=False).pow(0.5)
    return [
        *test_loss(run),
        Value.of("largest_gradient_norm", float(norms.max())),
        Value.of("drift", _growth(run)),
    ]


def _growth(run: Run) -> float:
    recording = run.recording(run.last, SEQUENCES)
    last = {
        row["offset"]: row["median"]
        for row in measure_drift(recording, sequences=SEQUENCES)
        if row["layer"] == recording.n_blocks and row["place"] == "before"
    }
    quarter = max(last)
    eighth = last.get(quarter // 2, 0.0)
    return last[quarter] / eighth if eighth > 0 else math.nan
