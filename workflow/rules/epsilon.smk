rule epsilon:
    input:
        tables_of_models("epsilon"),
        tables_of_models("pairs"),


STAGES["measure_epsilon"] = Stage(
    outputs=tables("epsilon", "pairs"),
    settings=analysis("balance_above", "cancellation_below"),
)
