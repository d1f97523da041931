"""The paper's claims: what it says, and what a study's tables say of it."""

from headalgebra.claims._claim import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    VERDICTS,
    Thresholds,
)
from headalgebra.claims._findings import findings_table
from headalgebra.claims._ledger import FIGURES, ledger
from headalgebra.claims._page import claims_page
from headalgebra.claims.linf._epsilon import block_parameters
from headalgebra.claims.linf._paper import (
    EPSILON_BY_THIRD,
    GPT2_MEDIUM_EPSILON,
    JACOBIATOR_RANGE,
    OBSTRUCTION_AT,
    OBSTRUCTION_RANGE,
    PHASE_CLAIMS,
    PhaseClaim,
)

__all__ = [
    "CONTRADICTED",
    "EPSILON_BY_THIRD",
    "FIGURES",
    "GPT2_MEDIUM_EPSILON",
    "JACOBIATOR_RANGE",
    "NOT_MEASURED",
    "NOT_REPRODUCED",
    "OBSTRUCTION_AT",
    "OBSTRUCTION_RANGE",
    "PHASE_CLAIMS",
    "REPRODUCED",
    "VERDICTS",
    "PhaseClaim",
    "Thresholds",
    "block_parameters",
    "claims_page",
    "findings_table",
    "ledger",
]
