"""What the table of normality says of single heads."""

from collections.abc import Callable

import pandas as pd

from headalgebra.claims.finding import Evidence, Finding
from headalgebra.claims.rules import on_every_model
from headalgebra.claims.statistics import share
from headalgebra.claims.study import Study


def by_head(rows: pd.DataFrame, quantities: tuple[str, ...]) -> pd.DataFrame:
    """Heads of a model that have all of some quantities: a row a head, a column a quantity."""
    heads = rows[rows["operator"].str.startswith("head ")]
    wide = heads.pivot(index=["layer", "operator"], columns="quantity", values="value")
    return wide.reindex(columns=list(quantities)).dropna()


def share_of_heads(
    study: Study,
    quantities: tuple[str, ...],
    as_claimed: Callable[[pd.DataFrame], pd.Series],
    *,
    statistic: str,
    at_least: float,
    means: dict[str, str],
) -> Finding:
    """Share of each model's heads that are as claimed.

    Parameters
    ----------
    quantities
        Those that a head must have to be judged.
    as_claimed
        Gives, of heads as :func:`by_head` has them, which are.
    statistic
        What the share is called.
    at_least
        The share that every model must reach.
    means
        Quantities whose mean over the heads is shown beside, and what it is called.
    """
    deciding, beside, not_judged = {}, [], {}
    for model, rows in study.rows("normality"):
        heads = by_head(rows, quantities)
        if heads.empty:
            not_judged[model] = f"no head has {' and '.join(quantities)}"
            continue
        n = len(heads)
        deciding[model] = share(model, statistic, int(as_claimed(heads).sum()), n)
        beside += [
            Evidence(on=model, statistic=called, value=float(heads[quantity].mean()), n=n)
            for quantity, called in means.items()
        ]
    return on_every_model(
        f"smallest {statistic}",
        deciding,
        at_least,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )
