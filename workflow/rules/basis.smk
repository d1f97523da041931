rule basis:
    input:
        of_every_model(paths.model_table("basis")),
        of_every_model(paths.model_table("singular_values")),


STAGES["decompose_basis"] = Stage(
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
