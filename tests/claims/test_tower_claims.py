"""The gauge observables of section 6, judged each way; what training alone could show."""

import pandas as pd
import pytest

from claim_studies import (
    NAN,
    found,
    gauge_rows,
    judged,
    of_model,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.0, -2.0, 3.0, -4.0, 5.0, 6.0), REPRODUCED),  # of either sign
        ((6.0, 5.0, 4.0, 3.0, 2.0, 1.0), NOT_REPRODUCED),
        ((1.0,) * 6, NOT_MEASURED),
        ((1.0, 2.0), NOT_MEASURED),
        ((NAN,) * 6, NOT_MEASURED),
    ],
)
def test_growth_of_gauge_observables(values: tuple[float, ...], verdict: str) -> None:
    tables = of_model() | {"tower": pd.DataFrame(gauge_rows("m", values))}
    assert judged(tables)["gauge"] == verdict


@pytest.mark.parametrize("quantity", ["action", "action_normalised", "wilson_deviation"])
def test_each_gauge_observable_must_grow(quantity: str) -> None:
    tower = of_model()["tower"].astype({"value": float})
    falls = tower["quantity"] == quantity
    tower.loc[falls, "value"] = -1 / tower.loc[falls, "value"]
    assert judged(of_model() | {"tower": tower})["gauge"] == NOT_REPRODUCED


@pytest.mark.parametrize(
    "claim", ["stability", "expressivity", "balance", "universality", "regularise"]
)
def test_what_needs_experiments_says_which(claim: str) -> None:
    row = found(of_model()).loc[claim]
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("no ")
