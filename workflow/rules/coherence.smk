rule coherence:
    input:
        tables_of_models("coherence"),
        tables_of_models("nulls"),
        tables_of_models("tower"),
        tables_of_models("gauge"),
        tables_of_models("spectra"),
    message:
        "all of: coherence"


STAGES["verify_coherence"] = Stage(
    title="coherence",
    outputs=tables("coherence"),
    basis=True,
    coefficients=True,
    settings=analysis(
        "balance_above",
        "cancellation_below",
        "conditioning.well_below",
        "gram_floor",
        "relation_exhaustive_max_dim",
        "relation_tuples",
        "seed",
    ),
)

STAGES["measure_nulls"] = Stage(
    title="what chance gives",
    outputs=tables("nulls"),
    basis=True,
    settings=analysis(
        "balance_above",
        "cancellation_below",
        "conditioning.well_below",
        "gram_floor",
        "null_draws",
        "rank_cutoff",
        "seed",
    ),
)

STAGES["measure_tower"] = Stage(
    title="tower and gauge",
    outputs=tables("tower", "gauge", "spectra"),
    settings=analysis(
        "balance_above",
        "cancellation_below",
        "commutant_max_d",
        "lie_max_heads",
        "seed",
    ),
)
