rule coherence:
    input:
        of_every_model(paths.model_table("coherence")),
        of_every_model(paths.model_table("nulls")),
        of_every_model(paths.model_table("tower")),
        of_every_model(paths.model_table("gauge")),
        of_every_model(paths.model_table("spectra")),


rule verify_coherence:
    input:
        code=modules_behind("verify_coherence"),
        factors=factors,
        provenance=provenance,
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
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
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


rule measure_nulls:
    input:
        code=modules_behind("measure_nulls"),
        factors=factors,
        provenance=provenance,
        basis=paths.span_table("basis"),
    output:
        nulls=paths.span_table("nulls"),
    log:
        paths.log("measure_nulls", "{span}"),
    benchmark:
        paths.benchmark("measure_nulls", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        layers=layers,
        settings=analysis(
            "balance_above",
            "cancellation_below",
            "gram_floor",
            "null_draws",
            "rank_cutoff",
            "seed",
        )
        | {"well_below": ANALYSIS["conditioning"]["well_below"]},
    script:
        "../../scripts/measure_nulls.py"


rule measure_tower:
    input:
        code=modules_behind("measure_tower"),
        factors=factors,
        provenance=provenance,
    output:
        gauge=paths.span_table("gauge"),
        tower=paths.span_table("tower"),
        spectra=paths.span_table("spectra"),
    log:
        paths.log("measure_tower", "{span}"),
    benchmark:
        paths.benchmark("measure_tower", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        layers=layers,
        settings=analysis(
            "balance_above",
            "cancellation_below",
            "commutant_max_d",
            "lie_max_heads",
            "seed",
        ),
    script:
        "../../scripts/measure_tower.py"
