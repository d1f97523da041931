"""Claims on the Jacobiator, which is zero (sections 3 and 5)."""

import numpy as np
import pandas as pd

from headalgebra.claims._claim import (
    CONTRADICTED,
    Claim,
    Finding,
    Study,
    layers_counted,
    magnitude,
    numbers,
    on_identity,
    shown,
)
from headalgebra.claims.linf._paper import JACOBIATOR_RANGE

FEWEST_PRECISIONS = 3
"""Through two a line always goes."""


def vanishing(study: Study) -> Finding:
    """Whether what is computed for J is rounding: below its bound, and proportional to u."""
    texts, doubts, sloped = [], [], False
    precision = dict(study.rows("precision"))
    for model, rows in study.rows("layers"):
        rms, bound = numbers(rows["jacobi_rms"]), numbers(rows["jacobi_bound"])
        evaluated = np.isfinite(rms)
        if not evaluated.any():
            continue
        if beyond := int((~(rms <= bound) & evaluated).sum()):
            doubts.append(f"{model}: J above the bound of rounding in {layers_counted(beyond)}")
        text = (
            f"{model}: J up to {magnitude(rms[evaluated].max())} over "
            f"{layers_counted(int(evaluated.sum()))}, rounding up to "
            f"{magnitude(bound[evaluated].max())}"
        )
        slopes = _slopes(precision[model]) if model in precision else {}
        sloped |= bool(slopes)
        low, high = study.thresholds.slope_from, study.thresholds.slope_to
        for operand, slope in slopes.items():
            if not low <= slope <= high:
                doubts.append(f"{model}: slope {shown(slope)} ({operand})")
        if slopes:
            by_operand = ", ".join(f"{slope:.2f} ({name})" for name, slope in slopes.items())
            text += f", slope in the unit roundoff {by_operand}"
        texts.append(text)
    if not sloped:
        doubts.append("no Jacobiator in several precisions")
    nothing = "no layer with a Jacobiator: it takes three basis elements"
    return on_identity(study, CONTRADICTED, texts, doubts, nothing=nothing)


def _slopes(precision: pd.DataFrame) -> dict[str, float]:
    """Slope of log J, averaged over the layers, against log u, for each kind of operand."""
    positive = precision[precision["jacobi_mean"] > 0]
    slopes = {}
    for operand, rows in positive.groupby("operand", sort=False):
        logs = rows.assign(log=np.log(numbers(rows["jacobi_mean"])))
        mean = logs.groupby("unit_roundoff", as_index=False)["log"].mean()
        if len(mean) >= FEWEST_PRECISIONS:
            u = np.log(numbers(mean["unit_roundoff"]))
            slopes[str(operand)] = float(np.polyfit(u, numbers(mean["log"]), 1)[0])
    return slopes


def phases(study: Study) -> Finding:
    """The same identity, and how often the projected Jacobiator falls in the phase that ε has."""
    verdict, measured = vanishing(study)
    low, high = JACOBIATOR_RANGE
    texts = []
    for model, rows in study.rows("layers"):
        projected = numbers(rows["jacobi_projected_rms"])
        exists = np.isfinite(projected) & rows["phase"].isin(["I", "II", "III"]).to_numpy()
        by_projected = np.select([projected < low, projected > high], ["I", "III"], "II")
        same = int((by_projected == rows["phase"].to_numpy())[exists].sum())
        if exists.any():
            texts.append(f"{model}: {same} of {layers_counted(int(exists.sum()))}")
    if texts:
        measured += f"; phase by ε and by projected Jacobiator agree in {', '.join(texts)}"
    return Finding(verdict, measured)


CLAIMS = (
    Claim(
        id="jacobi-range",
        section="3",
        statement="the Jacobiator of basis elements is small, and systematically not zero",
        paper_value="norm in [0.001, 0.1]",
        criterion="J vanishes for matrices, whose product is associative; borne out where what is "
        "computed for it stays below the bound of rounding in every layer, with a slope in "
        "[{slope_from:g}, {slope_to:g}] in the unit roundoff",
        evidence="identity J = 0; layers.csv: jacobi_rms, jacobi_bound; precision.csv: jacobi_mean",
        figures=("jacobiator",),
        judge=vanishing,
    ),
    Claim(
        id="jacobi-phase",
        section="5",
        statement="the violation of the Jacobi identity goes with the phase of a layer",
        paper_value="I below 0.001, II from 0.001 to 0.1, III above 0.1",
        criterion="as for jacobi-range; beside it, the layers in which the projected Jacobiator, "
        "which need not vanish, is in the range of the phase that ε gives",
        evidence="identity J = 0; layers.csv: jacobi_rms, jacobi_bound, jacobi_projected_rms, "
        "phase; precision.csv: jacobi_mean",
        figures=("jacobiator", "phase_diagram", "phases"),
        judge=phases,
    ),
)
