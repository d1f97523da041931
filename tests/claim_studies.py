"""Made-up tables of studies, as the claims are judged by them."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from headalgebra import columns
from headalgebra.claims.ledger import ledger
from headalgebra.claims.study import Thresholds
from schema import Claims, plain

IDS = [
    *("eps-depth", "eps-monotone"),
    *("never-classical", "obstruction-range", "obstruction-class"),
    *("jacobi-range", "coherence", "higher-small"),
    *("dense-limit", "cost", "conditioning", "sampling"),
    *("eps-gpt2-medium", "eps-size", "jacobi-phase"),
    *("stability", "expressivity", "balance", "universality", "regularise", "gauge"),
]
THRESHOLDS = Thresholds(**plain(Claims()))
NAN = math.nan
AS_CLAIMED = (0.2, 0.5, 0.6, 1.2, 1.3, 1.9)
"""ε of six layers that are as the paper has them."""
GPT2_MEDIUM = {"n_layers": 24, "n_heads": 16, "d_model": 1024, "d_head": 64}
GPT2_MEDIUM_ID = "openai-community/gpt2-medium"
GPT2_EPSILON = [0.1] * 8 + [0.8] * 8 + [1.7] * 8


def model_layers(model: str, epsilon: Iterable[float] = AS_CLAIMED, **other: object) -> list[dict]:
    """The rows of one model, as an ideal study would have them."""
    values = list(epsilon)
    row = {
        "model": model,
        **{"n_layers": len(values), "n_heads": 12, "n_kv_heads": 12, "d_model": 64, "d_head": 8},
        **{"rank": 12, "kappa": 2.0, "basis_dim": 12, "kappa_used": 2.0, "conditioning": "well"},
        **{"route": "sampled", "n_triples": 2, "n_probes": 16, "epsilon_relative": 0.1},
        **{"jacobi_rms": 1e-17, "jacobi_noise": 2e-18, "jacobi_bound": 1e-13},
        **{"obstruction_rms": 0.05, "obstruction_ci_low": 0.04, "obstruction_ci_high": 0.06},
        **{"hochschild_residual": 1e-16, "coherence_residual": 1e-16},
        "jacobi_projected_rms": 1e-2,
        **{"circuit": "qk", "scale": False, "fold_norm": False, "rope_offset": 0},
    } | other
    return [
        row | {"layer": layer, "epsilon": value, "phase": phase_of(value)}
        for layer, value in enumerate(values)
    ]


def phase_of(epsilon: float) -> str:
    return "I" if epsilon < 0.1 else "III" if epsilon > 1 else "II" if epsilon == epsilon else ""


Described = tuple[str, str, str, str, bool | None, bool]


def described(*models: Described) -> pd.DataFrame:
    return pd.DataFrame(models, columns=list(columns.DESCRIBED_MODELS))


def precision_rows(model: str, slope: float = 0.93) -> list[dict]:
    return [
        {
            "model": model,
            "layer": 0,
            "operand": operand,
            "unit_roundoff": u,
            "jacobi_mean": u**slope,
        }
        for operand in ("raw", "basis")
        for u in (2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8)
    ]


def gauge_rows(model: str, values: Iterable[float]) -> list[dict]:
    return [
        {"model": model, "layer": layer, "level": "gauge", "quantity": quantity, "value": value}
        for layer, value in enumerate(values)
        for quantity in ("action", "action_normalised", "wilson_deviation")
    ]


def conditioning_table(poor: str = "sampled", uniform_inside: int = 38) -> pd.DataFrame:
    """Forty cases of exact value 1; in the poor band one method is the nearer."""
    rows = []
    for case in range(40):
        band = ("well", "moderate", "poor", "poor")[case % 4]
        nearer = poor if band == "poor" else "dense"
        errors = {"dense_error": 1e-3, "sampled_error": 1e-2}
        if nearer == "sampled":
            errors = {"dense_error": 0.5, "sampled_error": 1e-2}
        inside = case < uniform_inside
        rows.append(
            {
                **{"case": case, "elements": "even", "n": 6, "kappa": 2.0, "conditioning": band},
                **{"exact": 1.0, "dense": 1.0, "sampled": 1.01, "low": 0.9, "high": 1.1},
                "uniform": 1.0,
                **{"uniform_low": 0.9 if inside else 1.1, "uniform_high": 1.2},
                **errors,
                **{"relative_error": 0.01, "literal_residual": 1e-17},
            }
        )
    return pd.DataFrame(rows, columns=list(columns.CONDITIONING))


def feasibility_table(dense_s: float = 3.0, probes_s: float = 0.5) -> pd.DataFrame:
    rows = [
        ("probes", 10, 512, 450, 16, True, NAN, 5e8, probes_s, probes_s, 4e-3, 3e-3, 5e-3, NAN),
        ("dense", 6, 512, 90, 0, True, 6e7, 5e8, dense_s, dense_s, 4e-3, 4e-3, 4e-3, 1e-17),
        ("dense", 10, 512, 450, 0, True, 1.5e8, 6e8, 15.0, 15.0, 4e-3, 4e-3, 4e-3, 1e-17),
    ]
    return pd.DataFrame(rows, columns=list(columns.FEASIBILITY))


def study_tables(*rows: list[dict]) -> dict[str, pd.DataFrame]:
    """The tables of models whose layers are given, everything else as claimed."""
    layers = pd.DataFrame([row for of_model in rows for row in of_model])
    models = list(dict.fromkeys(layers["model"]))
    return {
        "layers": layers,
        "sampling": pd.DataFrame(columns=list(columns.MODEL_SAMPLING)),
        "precision": pd.DataFrame([row for model in models for row in precision_rows(model)]),
        "literal": pd.DataFrame(columns=list(columns.MODEL_LITERAL)),
        "tower": pd.DataFrame(
            [
                row
                for model in models
                for row in gauge_rows(model, range(1, 1 + (layers["model"] == model).sum()))
            ]
        ),
        "conditioning": conditioning_table(),
        "feasibility": feasibility_table(),
    }


def trained(model: str, family: str = "bert", source: str = "path", id_: str = "") -> Described:
    """A trained model that stands alone."""
    return (model, source, id_, family, True, True)


TRAINED = described(trained("m"))


def judged(
    tables: dict[str, pd.DataFrame], models: pd.DataFrame = TRAINED, **thresholds: float
) -> dict[str, str]:
    return dict(found(tables, models, **thresholds)["verdict"])


def found(
    tables: dict[str, pd.DataFrame], models: pd.DataFrame = TRAINED, **thresholds: float
) -> pd.DataFrame:
    settings = Thresholds(**{**THRESHOLDS.__dict__, **thresholds})
    return ledger(tables, models, settings)[0].set_index("id")


def evidence(
    tables: dict[str, pd.DataFrame], claim: str, models: pd.DataFrame = TRAINED
) -> dict[tuple[str, str], Any]:
    """The numbers behind a claim, by what they are of and what they are."""
    rows = ledger(tables, models, THRESHOLDS)[1].query("id == @claim")
    return rows.set_index(["on", "statistic"])["value"].to_dict()


def of_model(epsilon: Iterable[float] = AS_CLAIMED, **other: object) -> dict[str, pd.DataFrame]:
    """The tables of one trained model."""
    return study_tables(model_layers("m", epsilon, **other))
