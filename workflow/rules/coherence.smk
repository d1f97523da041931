rule coherence:
    input:
        of_every_model(paths.model_table("coherence")),


rule verify_coherence:
    input:
        code=modules_behind("verify_coherence"),
        factors=factors,
        basis=paths.span_table("basis"),
        coefficients=paths.BASIS_COEFFICIENTS,
    output:
        coherence=paths.span_table("coherence"),
    log:
        paths.log("verify_coherence", "{span}"),
    benchmark:
        paths.benchmark("verify_coherence", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=model_resource("mem_mb", 8000),
        runtime=model_resource("runtime", 120),
        gpu=0,
    params:
        layers=layers,
        well_below=ANALYSIS["conditioning"]["well_below"],
        settings=analysis(
            "balance_above",
            "cancellation_below",
            "relation_exhaustive_max_dim",
            "relation_tuples",
            "seed",
        ),
    script:
        "../../scripts/verify_coherence.py"
