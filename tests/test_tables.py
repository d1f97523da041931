"""What the stages leave becomes one row a layer, and what does not exist stays empty."""

import math

import pandas as pd
import pytest

from headalgebra import columns
from headalgebra.tables import cost_table, layer_table, sampling_table, stack, tower_table

THRESHOLDS = {"weak_below": 0.1, "topological_above": 1.0}
PROVENANCE = {
    "layers": [0, 1, 2],
    "n_layers": 3,
    "n_heads": 4,
    "n_kv_heads": 2,
    "d_model": 8,
    "d_head": 2,
    "revision": "r",
    "convention": {"circuit": "ov", "scale": False, "fold_norm": True, "rope_offset": 0},
    "quantisation": {"0": "Q4_1", "1": "", "2": "Q6_K"},
}
NAN = math.nan


def frame(names: tuple[str, ...], *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(names))


def stages() -> dict[str, pd.DataFrame]:
    """Three layers: sampled, mixed, and one whose heads are zero."""
    return {
        "basis": frame(
            columns.BASIS,
            (0, 4, 2.0, 4, 2.0, "well", "sampled"),
            (1, 4, 200.0, 4, 200.0, "moderate", "mixed"),
            (2, 0, NAN, 0, NAN, "", "dense"),
        ),
        "epsilon": frame(
            columns.EPSILON, (0, 0.05, 0.1, 0.05), (1, 0.5, 0.2, 0.4), (2, 0.0, NAN, 0.0)
        ),
        "linf_dense": frame(
            columns.LINF,
            (1, 2, 0, 1e-17, 1e-18, 1e-13, 0.3, 0.3, 0.3, 1e-16, ""),
            (2, 0, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, "n = 0: no brackets"),
        ),
        "linf_sampled": frame(
            columns.LINF,
            (0, 2, 16, 1e-17, 1e-18, 1e-13, 0.2, 0.1, 0.3, 1e-16, ""),
            (1, 2, 16, 1e-17, 1e-18, 1e-13, 0.31, 0.2, 0.4, 1e-16, ""),
        ),
        "literal": frame(columns.LITERAL, (1, "float64", 24, 1e-16), (2, "float64", 0, NAN)),
        "sampling": frame(
            columns.SAMPLING,
            (0, "probes", "float64", 24, 16, 0.2, 0.1, 0.3, NAN, 0),
            (1, "probes", "float64", 24, 16, 0.31, 0.2, 0.4, NAN, 0),
        ),
        "coherence": frame(
            columns.COHERENCE,
            (0, 0.9, 2.0, 1e-3, 1.1, 1e-17, 3.0, 4.0, ""),
            (1, 0.9, 2.0, 1e-3, 1.2, 1e-17, 3.0, 4.0, "a remark"),
            (2, NAN, NAN, NAN, NAN, NAN, 0.0, 0.0, "the brackets vanish"),
        ),
        "gauge": frame(
            columns.GAUGE,
            (0, -2.0, 1.001, ""),
            (1, 3.0, 0.999, "too wide: no W* level"),
            (2, 0.0, NAN, ""),
        ),
        "nulls": frame(
            columns.NULLS,
            *(
                (layer, quantity, null, mean + layer, 0.1, 0.9, 9.1, 0.5, 8)
                for layer in range(3)
                for quantity, null, mean in (
                    ("epsilon", "pooled", 1.0),
                    ("epsilon", "haar", 2.0),
                    ("rho3", "haar", 3.0),
                    ("closure_isotropy", "pooled", 4.0),
                    ("closure_isotropy", "haar", 5.0),
                )
            ),
            (0, "rho3", "pooled", 1.3, 0.04, 1.2, 1.4, 0.1, 8),
            (1, "rho3", "pooled", 1.4, 0.04, 1.3, 1.5, 0.1, 8),
            (2, "rho3", "pooled", NAN, NAN, NAN, NAN, NAN, 0),
        ),
        "tower": frame(
            columns.TOWER,
            *((layer, "gauge", "action", 1.0) for layer in range(3)),
            *((layer, "C*", "operator_norm_max", 2.0) for layer in range(3)),
        ),
    }


def test_one_row_a_layer_in_the_promised_columns() -> None:
    table = layer_table("m", PROVENANCE, stages(), **THRESHOLDS)
    assert tuple(table.columns) == columns.LAYERS
    assert list(table["layer"]) == [0, 1, 2]
    assert list(table["phase"]) == ["I", "II", "I"]
    assert set(table["model"]) == {"m"}
    assert set(table["n_kv_heads"]) == {2}
    assert table["rho3_null"].tolist()[:2] == [1.3, 1.4]
    assert table["epsilon_null"].tolist() == [2.0, 3.0, 4.0]
    assert table["closure_isotropy_null"].tolist() == [4.0, 5.0, 6.0]
    ratio = table["epsilon"] / table["epsilon_null"]
    assert table["epsilon_null_ratio"].tolist() == ratio.tolist()
    assert table["action"].tolist() == [-2.0, 3.0, 0.0]
    assert table["wilson_mean"].tolist()[:2] == [1.001, 0.999]


def test_every_row_records_how_its_weights_were_stored() -> None:
    assert list(layer_table("m", PROVENANCE, stages())["quantisation"]) == ["Q4_1", "", "Q6_K"]


def test_every_row_records_the_convention() -> None:
    table = layer_table("m", PROVENANCE, stages(), **THRESHOLDS)
    assert set(table["circuit"]) == {"ov"}
    assert set(table["fold_norm"]) == {True}
    assert set(table["scale"]) == {False}


def test_a_layer_extracted_both_ways_takes_the_dense_row() -> None:
    table = layer_table("m", PROVENANCE, stages(), **THRESHOLDS).set_index("layer")
    assert table.loc[1, "obstruction_rms"] == 0.3
    assert table.loc[1, "n_probes"] == 0
    assert table.loc[0, "obstruction_rms"] == 0.2


def test_what_does_not_exist_is_missing_and_the_note_says_why() -> None:
    row = layer_table("m", PROVENANCE, stages(), **THRESHOLDS).set_index("layer").loc[2]
    absent = ["epsilon_relative", "kappa", "obstruction_rms", "closure_defect", "rho3"]
    absent += ["rho3_null", "wilson_mean"]
    assert row[absent].isna().all()
    for reason in ("a head is zero", "every head is zero", "no brackets", "the brackets vanish"):
        assert reason in row["note"]


def test_dependent_heads_are_noted() -> None:
    dependent = stages()
    dependent["basis"].loc[0, "rank"] = 3
    row = layer_table("m", PROVENANCE, dependent, **THRESHOLDS).set_index("layer").loc[0]
    assert "rank 3 of 4" in row["note"]


def test_the_gauge_stages_remarks_are_kept() -> None:
    row = layer_table("m", PROVENANCE, stages(), **THRESHOLDS).set_index("layer").loc[1]
    assert row["note"] == "a remark; too wide: no W* level"


@pytest.mark.parametrize("stage", ["basis", "coherence", "epsilon", "gauge", "linf_dense", "nulls"])
def test_a_layer_that_one_stage_lost_is_refused(stage: str) -> None:
    broken = stages()
    broken[stage] = broken[stage].iloc[:-1]
    with pytest.raises(ValueError, match=rf"layers \[2\] .* {stage.removesuffix('_dense')}"):
        layer_table("m", PROVENANCE, broken, **THRESHOLDS)


def test_a_layer_that_one_stage_has_twice_is_refused() -> None:
    broken = stages()
    broken["coherence"] = pd.concat([broken["coherence"], broken["coherence"].tail(1)])
    with pytest.raises(pd.errors.MergeError):
        layer_table("m", PROVENANCE, broken, **THRESHOLDS)


def test_sampling_holds_the_dense_value_of_every_triple() -> None:
    table = sampling_table("m", stages())
    assert tuple(table.columns) == columns.MODEL_SAMPLING
    mixed = table[table["layer"] == 1].set_index("estimator")
    assert set(mixed.index) == {"probes", "dense"}
    assert mixed.loc["dense", ["value", "low", "high"]].tolist() == [0.3, 0.3, 0.3]
    assert mixed.loc["dense", "n_triples"] == 4 * 6


def test_the_tower_stands_in_order_with_the_brackets_between() -> None:
    table = tower_table("m", stages())
    assert tuple(table.columns) == columns.MODEL_TOWER
    first = table[table["layer"] == 0]
    assert list(first["level"].unique()) == ["C*", "L∞", "gauge"]
    brackets = first[first["level"] == "L∞"].set_index("quantity")["value"]
    assert brackets.to_dict() == {"l2_norm": 3.0, "l3_norm": 4.0, "chi": 0.9, "rho3": 1.1}


def test_stacking_leaves_the_types_of_filled_frames() -> None:
    empty = frame(columns.SAMPLING)
    filled = stages()["sampling"]
    assert (stack([empty, filled, empty]).dtypes == filled.dtypes).all()
    assert tuple(stack([empty, empty]).columns) == columns.SAMPLING


def test_costs_are_summed_over_jobs_and_memory_is_their_largest() -> None:
    jobs = pd.DataFrame(
        [
            ("weights", "b", 1.0, 0.5, 100.0),
            ("epsilon", "b", 2.0, math.nan, 300.0),
            ("epsilon", "b", 3.0, 2.5, 200.0),
            ("epsilon", "a", 4.0, math.nan, math.nan),
        ],
        columns=["rule", "model", "wall_s", "cpu_s", "max_rss_mb"],
    )
    table = cost_table(jobs)
    assert tuple(table.columns) == columns.COST
    expected = [
        ("weights", "b", 1, 1.0, 0.5, 100.0),
        ("epsilon", "b", 2, 5.0, 2.5, 300.0),
        ("epsilon", "a", 1, 4.0, math.nan, math.nan),
    ]
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected, columns=columns.COST))
