rule epsilon:
    input:
        of_every_model(paths.model_table("epsilon")),
        of_every_model(paths.model_table("pairs")),


rule measure_epsilon:
    input:
        code=modules_behind("measure_epsilon"),
        factors=factors,
        provenance=provenance,
    output:
        epsilon=paths.span_table("epsilon"),
        pairs=paths.span_table("pairs"),
    log:
        paths.log("measure_epsilon", "{span}"),
    benchmark:
        paths.benchmark("measure_epsilon", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        layers=layers,
        settings=analysis("balance_above", "cancellation_below"),
    script:
        "../../scripts/measure_epsilon.py"
