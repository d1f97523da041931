rule basis:
    input:
        tables_of_models("basis"),
        tables_of_models("singular_values"),
    message:
        "all of: basis"


STAGES["decompose_basis"] = Stage(
    title="basis and conditioning",
    outputs={
        **tables("basis", "singular_values"),
        "coefficients": paths.BASIS_COEFFICIENTS,
    },
    settings=analysis(
        "balance_above",
        "census_max_triples",
        "conditioning",
        "dense_max_dim",
        "exact_up_to_probes",
        "gram_floor",
        "max_dim",
        "rank_cutoff",
    ),
)
