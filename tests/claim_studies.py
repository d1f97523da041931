"""Made-up studies: tables of models whose layers are given, everything else as the paper has it."""

import math
from collections.abc import Iterable
from dataclasses import asdict, replace

import pandas as pd

from headalgebra import columns
from headalgebra.claims.ledger import CLAIMS, PAPERS, as_table, claim_row, ledger
from headalgebra.claims.linf.gpt2_medium import COMMIT
from headalgebra.claims.study import Study, Thresholds
from schema import Claims

THRESHOLDS = Thresholds(**Claims().model_dump())
"""Those of a configuration that says nothing."""

NAN = math.nan

AS_CLAIMED = (0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 1.2, 1.3, 1.9)
"""ε of nine layers that are as the paper has them."""

N = len(AS_CLAIMED)

GPT2_MEDIUM = {"n_layers": 24, "n_heads": 16, "d_model": 1024, "d_head": 64}
GPT2_MEDIUM_ID = "openai-community/gpt2-medium"
PUBLISHED = {"source": "hub", "id": GPT2_MEDIUM_ID, "commit": COMMIT}
GPT2_MEDIUM_EPSILON = (*[0.1] * 8, *[0.8] * 8, *[1.7] * 8)
"""ε of its layers as the paper has them."""

PLAIN_LAYER = {
    "n_heads": 12,
    "n_kv_heads": 12,
    "d_model": 64,
    "d_head": 8,
    "rank": 12,
    "kappa": 2.0,
    "basis_dim": 12,
    "kappa_used": 2.0,
    "conditioning": "well",
    "route": "sampled",
    "n_triples": 2,
    "n_probes": 16,
    "epsilon_relative": 0.1,
    "jacobi_rms": 1e-17,
    "jacobi_noise": 2e-18,
    "jacobi_bound": 1e-13,
    "obstruction_rms": 0.05,
    "obstruction_ci_low": 0.04,
    "obstruction_ci_high": 0.06,
    "hochschild_residual": 1e-16,
    "coherence_residual": 1e-16,
    "jacobi_projected_rms": 1e-2,
    "circuit": "qk",
    "scale": False,
    "fold_norm": False,
    "rope_offset": 0,
}

Tables = dict[str, pd.DataFrame]

PAPER_OF = {claim.id: paper for paper, claims in PAPERS.items() for claim in claims}


def model_layers(
    model: str, epsilon: Iterable[float] = AS_CLAIMED, **other: object
) -> list[dict[str, object]]:
    """The rows of one model."""
    values = list(epsilon)
    row = {"model": model, "n_layers": len(values)} | PLAIN_LAYER | other
    return [
        row | {"layer": layer, "epsilon": value, "phase": phase_of(value)}
        for layer, value in enumerate(values)
    ]


def phase_of(epsilon: float) -> str:
    if math.isnan(epsilon):
        return ""
    return "I" if epsilon < 0.1 else "III" if epsilon > 1 else "II"


def described(model: str = "m", **other: object) -> pd.DataFrame:
    """What the claims are told of one model: a trained one of a local folder, if nothing else."""
    of_model = dict.fromkeys(columns.DESCRIBED_MODELS, "")
    of_model |= {"model": model, "source": "path", "family": "bert", "organisation": "someone"}
    of_model |= {"trained": True, "first_of_series": False, "last_of_series": True}
    assert set(other) <= set(of_model)
    return pd.DataFrame([of_model | other], columns=list(columns.DESCRIBED_MODELS))


def together(*models: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(models, ignore_index=True)


TRAINED = described()


def precision_rows(model: str, slope: float = 0.93) -> list[dict[str, object]]:
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


def gauge_rows(model: str, values: Iterable[float]) -> list[dict[str, object]]:
    return [
        {"model": model, "layer": layer, "level": "gauge", "quantity": quantity, "value": value}
        for layer, value in enumerate(values)
        for quantity in ("action", "action_normalised", "wilson_deviation")
    ]


def conditioning_table(poor: str = "sampled") -> pd.DataFrame:
    """Forty cases of exact value 1; in the poor band one method is the nearer."""
    rows = []
    for case in range(40):
        band = ("well", "moderate", "poor", "poor")[case % 4]
        nearer = poor if band == "poor" else "dense"
        rows.append(
            {
                "case": case,
                "elements": "even",
                "n": 6,
                "kappa": 2.0,
                "conditioning": band,
                "exact": 1.0,
                "dense": 1.0,
                "sampled": 1.01,
                "low": 0.9,
                "high": 1.1,
                "dense_error": 1e-3 if nearer == "dense" else 0.5,
                "sampled_error": 1e-2,
                "relative_error": 0.01,
                "literal_residual": 1e-17,
            }
        )
    return pd.DataFrame(rows, columns=list(columns.CONDITIONING))


def feasibility_table(dense_s: float = 3.0, triple_s: float = 0.03) -> pd.DataFrame:
    """Random layers at the sizes the paper calls feasible and not; all runs complete."""
    dense = {"route": "dense", "d_model": 512, "n_probes": 0, "literal_residual": 1e-17}
    runs = [
        {"route": "probes", "n": 10, "d_model": 512, "n_triples": 450, "n_probes": 16}
        | {"cpu_s": 0.5},
        {"route": "triple", "n": 10, "d_model": 512, "n_triples": 1, "n_probes": 0}
        | {"cpu_s": triple_s},
        dense | {"n": 6, "n_triples": 90, "bytes": 6e7, "cpu_s": dense_s},
        dense | {"n": 10, "n_triples": 450, "bytes": 1.5e8, "cpu_s": 15.0},
    ]
    table = pd.DataFrame(runs, columns=list(columns.FEASIBILITY))
    return table.assign(
        completed=True, peak_rss_bytes=5e8, wall_s=table["cpu_s"], obstruction_rms=4e-3
    )


def sampled_layers(
    *coverages: float, model: str = "m", known: str = "exact", repetitions: int = 1000
) -> pd.DataFrame:
    """Layers of known obstruction, the probes 5 % off and their interval wide enough."""
    rows = []
    for layer, coverage in enumerate(coverages):
        of_layer = {"model": model, "layer": layer, "n_triples": 90, "repetitions": 0}
        rows += [
            of_layer | {"estimator": known, "value": 1.0, "low": 1.0, "high": 1.0, "n_probes": 0},
            of_layer
            | {"estimator": "probes", "value": 1.05, "low": 0.9, "high": 1.2, "n_probes": 64},
            of_layer
            | {"estimator": "uniform", "value": 1.0, "low": 0.9, "high": 1.2, "n_probes": 0}
            | {"coverage": coverage, "repetitions": repetitions},
        ]
    return pd.DataFrame(rows, columns=list(columns.MODEL_SAMPLING))


def study_tables(*models: list[dict[str, object]]) -> Tables:
    """The tables of models whose layers are given, everything else as claimed."""
    layers = pd.DataFrame([row for rows in models for row in rows])
    n_layers = layers.groupby("model", sort=False).size()
    return {
        "layers": layers,
        "sampling": pd.concat(
            [sampled_layers(*[0.95] * n, model=str(name)) for name, n in n_layers.items()]
        ),
        "precision": pd.DataFrame([row for name in n_layers.index for row in precision_rows(name)]),
        "literal": pd.DataFrame(columns=list(columns.MODEL_LITERAL)),
        "tower": pd.DataFrame(
            [row for name, n in n_layers.items() for row in gauge_rows(str(name), range(1, 1 + n))]
        ),
        "conditioning": conditioning_table(),
        "feasibility": feasibility_table(),
    }


def of_model(epsilon: Iterable[float] = AS_CLAIMED, **other: object) -> Tables:
    """The tables of one model, `m`."""
    return study_tables(model_layers("m", epsilon, **other))


def found(
    tables: Tables, models: pd.DataFrame = TRAINED, **thresholds: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The claims by their id, and the evidence."""
    claims, evidence = ledger(tables, models, replace(THRESHOLDS, **thresholds))
    return claims.set_index("id"), evidence


def claim(
    id: str, tables: Tables, models: pd.DataFrame = TRAINED, **thresholds: float
) -> pd.Series:
    """The row of one claim."""
    study = Study(tables, models, replace(THRESHOLDS, **thresholds), 0)
    row = claim_row(PAPER_OF[id], CLAIMS[id], CLAIMS[id].judge(study), study)
    return as_table([row], columns.CLAIMS).set_index("id").loc[id]


def verdict_of(id: str, tables: Tables, models: pd.DataFrame = TRAINED, **thresholds: float) -> str:
    """The verdict on one claim."""
    return str(claim(id, tables, models, **thresholds)["verdict"])


def evidence_of(id: str, tables: Tables, models: pd.DataFrame = TRAINED) -> pd.DataFrame:
    """The numbers behind one claim, by what they are of and what they are."""
    evidence = CLAIMS[id].judge(Study(tables, models, THRESHOLDS, 0)).evidence
    rows = [{"id": id, **asdict(measured)} for measured in evidence]
    return as_table(rows, columns.EVIDENCE).set_index(["on", "statistic"])


def judged(tables: Tables, models: pd.DataFrame = TRAINED, **thresholds: float) -> dict[str, str]:
    """The verdict of each claim."""
    return dict(found(tables, models, **thresholds)[0]["verdict"])
