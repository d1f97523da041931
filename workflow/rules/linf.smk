rule linf:
    input:
        of_every_model(paths.model_table("linf_dense")),
        of_every_model(paths.model_table("literal")),
        of_every_model(paths.model_table("linf_sampled")),
        of_every_model(paths.model_table("sampling")),
        of_every_model(paths.model_table("precision")),
        of_every_model(paths.model_table("associator")),


rule linf_dense:
    input:
        code=modules_behind("extract_linf_dense"),
        factors=factors,
        provenance=provenance,
        basis=paths.span_table("basis"),
        coefficients=paths.BASIS_COEFFICIENTS,
    output:
        linf=paths.span_table("linf_dense"),
        literal=paths.span_table("literal"),
    log:
        paths.log("linf_dense", "{span}"),
    benchmark:
        paths.benchmark("linf_dense", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=one_gpu_for_dense_layers,
        gpu_model=gpu_model_for_dense_layers,
    params:
        settings=analysis(
            "balance_above",
            "dense_dtype",
            "device",
            "jacobi_triples",
            "literal_tolerance",
            "seed",
        ),
    script:
        "../../scripts/extract_linf_dense.py"


rule linf_sampled:
    input:
        code=modules_behind("extract_linf_sampled"),
        factors=factors,
        provenance=provenance,
        basis=paths.span_table("basis"),
        coefficients=paths.BASIS_COEFFICIENTS,
    output:
        linf=paths.span_table("linf_sampled"),
        sampling=paths.span_table("sampling"),
    log:
        paths.log("linf_sampled", "{span}"),
    benchmark:
        paths.benchmark("linf_sampled", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        settings=analysis(
            "balance_above",
            "census_max_triples",
            "jacobi_triples",
            "probes",
            "seed",
            "uniform_tuples",
            "weighted_triples",
        ),
    script:
        "../../scripts/extract_linf_sampled.py"


rule measure_precision:
    input:
        code=modules_behind("measure_precision"),
        factors=factors,
        provenance=provenance,
        coefficients=paths.BASIS_COEFFICIENTS,
    output:
        precision=paths.span_table("precision"),
    log:
        paths.log("measure_precision", "{span}"),
    benchmark:
        paths.benchmark("measure_precision", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        layers=layers,
        settings=analysis("balance_above", "precision", "seed"),
    script:
        "../../scripts/measure_precision.py"


rule measure_associator:
    input:
        code=modules_behind("measure_associator"),
        factors=factors,
        provenance=provenance,
        coefficients=paths.BASIS_COEFFICIENTS,
    output:
        associator=paths.span_table("associator"),
    log:
        paths.log("measure_associator", "{span}"),
    benchmark:
        paths.benchmark("measure_associator", "{span}")
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for(mem_mb),
        runtime=asked_for(runtime),
        gpu=0,
    params:
        layers=layers,
        settings=analysis("balance_above", "precision", "seed"),
    script:
        "../../scripts/measure_associator.py"
