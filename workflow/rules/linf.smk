rule linf:
    input:
        tables_of_models("linf_dense"),
        tables_of_models("literal"),
        tables_of_models("linf_sampled"),
        tables_of_models("sampling"),
        tables_of_models("precision"),
        tables_of_models("associator"),
    message:
        "all of: linf"


STAGES["extract_linf_dense"] = Stage(
    title="dense brackets",
    outputs=tables("linf_dense", "literal"),
    basis=True,
    coefficients=True,
    gpu=True,
    settings=analysis(
        "balance_above",
        "dense_dtype",
        "device",
        "jacobi_triples",
        "literal_max_d",
        "literal_tolerance",
        "seed",
    ),
)

STAGES["extract_linf_sampled"] = Stage(
    title="sampled brackets",
    outputs=tables("linf_sampled", "sampling"),
    basis=True,
    coefficients=True,
    gpu=True,
    settings=analysis(
        "balance_above",
        "census_max_triples",
        "device",
        "jacobi_triples",
        "literal_max_d",
        "probes",
        "sampled_gpu_from_d",
        "seed",
        "uniform_tuples",
        "weighted_triples",
    ),
)

STAGES["measure_precision"] = Stage(
    title="Jacobiator by precision",
    outputs=tables("precision"),
    coefficients=True,
    settings=analysis("balance_above", "literal_max_d", "precision", "seed"),
)

STAGES["measure_associator"] = Stage(
    title="associator",
    outputs=tables("associator"),
    coefficients=True,
    settings=analysis("balance_above", "literal_max_d", "precision.layers", "seed"),
)
