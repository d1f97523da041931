rule epsilon:
    input:
        of_every_model(paths.model_table("epsilon")),
        of_every_model(paths.model_table("pairs")),


rule measure_epsilon:
    input:
        code=modules_behind("measure_epsilon"),
        factors=factors,
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
        mem_mb=model_resource("mem_mb", 4000),
        runtime=model_resource("runtime", 60),
        gpu=0,
    params:
        layers=layers,
        settings=analysis("balance_above", "cancellation_below"),
    script:
        "../../scripts/measure_epsilon.py"
