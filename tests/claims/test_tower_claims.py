"""Gauge observables grow with depth, each of them, or the claim is not reproduced."""

import pandas as pd
import pytest

from claim_studies import NAN, claim, evidence_of, gauge_rows, of_model
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED
from headalgebra.claims.linf.tower import OBSERVABLES


@pytest.mark.parametrize(
    ("values", "value", "verdict"),
    [
        ((1.0, -2.0, 3.0, -4.0, 5.0, 6.0, -7.0, 8.0), 1, REPRODUCED),  # of either sign
        ((8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0), -1, NOT_REPRODUCED),
        ((1.0,) * 8, NAN, NOT_MEASURED),
        ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), NAN, NOT_MEASURED),
        ((NAN,) * 8, NAN, NOT_MEASURED),
    ],
)
def test_growth_of_gauge_observables(values: tuple[float, ...], value: float, verdict: str) -> None:
    row = claim("gauge", of_model() | {"tower": pd.DataFrame(gauge_rows("m", values))})
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("quantity", OBSERVABLES)
def test_each_gauge_observable_must_grow(quantity: str) -> None:
    tower = of_model()["tower"].astype({"value": float})
    falls = tower["quantity"] == quantity
    tower.loc[falls, "value"] = -1 / tower.loc[falls, "value"]
    tables = of_model() | {"tower": tower}
    row = claim("gauge", tables)
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, pytest.approx(-1))
    numbers = evidence_of("gauge", tables)["value"]
    for name, called in OBSERVABLES.items():
        rho = numbers["m", f"Spearman's ρ of {called} and layer"]
        assert rho == pytest.approx(-1 if name == quantity else 1)


def test_a_level_that_is_left_out_is_no_doubt_of_another() -> None:
    values = (1.0, -2.0, 3.0, -4.0, 5.0, 6.0, -7.0, 8.0)
    gauge = pd.DataFrame(gauge_rows("m", values))
    too_wide = gauge.assign(level="W*", quantity="commutant_gap", value=NAN)
    row = claim("gauge", of_model() | {"tower": pd.concat([gauge, too_wide])})
    assert (row["verdict"], row["note"]) == (REPRODUCED, "")
    unnamed = gauge.assign(level=None, value=NAN)
    row = claim("gauge", of_model() | {"tower": pd.concat([gauge, unnamed])})
    assert (row["verdict"], "value is not finite" in row["note"]) == (NOT_MEASURED, True)


def test_layers_without_an_observable_are_not_counted() -> None:
    # A zero head, on which the other heads depend, has no loop; nor has a single head a pair.
    values = (1.0, NAN, 2.0, 3.0, NAN, 4.0, 5.0, 6.0, 7.0, 8.0)
    tables = of_model(values, n_heads=12)
    tables["tower"] = pd.DataFrame(gauge_rows("m", values))
    tables["layers"].loc[[1, 4], ["n_heads", "rank"]] = 1
    row = claim("gauge", tables)
    assert (row["verdict"], row["n"]) == (REPRODUCED, 8)
    tables["layers"].loc[[1, 4], ["n_heads", "rank"]] = [12, 11]
    row = claim("gauge", tables)
    assert (row["verdict"], row["note"]) == (
        NOT_MEASURED,
        "m: value is not finite in layers 1, 4",  # of the action, which needs no such loop
    )
