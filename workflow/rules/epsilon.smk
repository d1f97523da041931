rule epsilon:
    input:
        tables_of_models("epsilon"),
        tables_of_models("pairs"),
    message:
        "all of: epsilon"


STAGES["measure_epsilon"] = Stage(
    title="ε and commutators",
    outputs=tables("epsilon", "pairs"),
    settings=analysis("balance_above", "cancellation_below"),
)
