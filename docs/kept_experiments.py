"""The experiments whose tables are kept beside this file, and what they say of the claims."""

from pathlib import Path

import pandas as pd

from headalgebra import columns, defaults
from headalgebra.claims.ledger import ledger
from headalgebra.claims.study import Thresholds
from headalgebra.csv_files import read_csv
from headalgebra.experiments.comparison import corrected
from headalgebra.tables import stack

KEPT = Path(__file__).resolve().parent / "experiments"

THRESHOLDS = Thresholds(
    **{name: getattr(defaults, name.upper()) for name in Thresholds.__dataclass_fields__}
)
"""Those of an analysis that sets nothing."""


def kept_experiments(folder: Path = KEPT) -> pd.DataFrame:
    """The comparisons of every experiment kept, corrected as one family of tests."""
    found = [read_csv(path) for path in sorted(folder.glob("*/experiments.csv"))]
    return corrected(stack(found)) if found else pd.DataFrame(columns=list(columns.EXPERIMENTS))


def with_experiments(claims: pd.DataFrame, experiments: pd.DataFrame) -> pd.DataFrame:
    """The ledger of a study that trains nothing, with what the experiments kept say beside it.

    Parameters
    ----------
    claims
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    experiments
        In those of :data:`headalgebra.columns.EXPERIMENTS`.
    """
    models = pd.DataFrame(columns=list(columns.DESCRIBED_MODELS))
    judged, _ = ledger({"experiments": experiments}, models, THRESHOLDS)
    told = judged[judged["id"].isin(set(experiments["claim"]))].set_index("id")
    own = claims.set_index("id")
    both = pd.concat([own.drop(told.index), told]).loc[own.index]
    return both.reset_index()[list(claims)]
