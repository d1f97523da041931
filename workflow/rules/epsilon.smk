rule epsilon:
    input:
        of_every_model(paths.model_table("epsilon")),
        of_every_model(paths.model_table("pairs")),


STAGES["measure_epsilon"] = Stage(
    outputs=tables("epsilon", "pairs"),
    settings=analysis("balance_above", "cancellation_below"),
)
