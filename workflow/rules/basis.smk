rule basis:
    input:
        of_every_model(paths.model_table("basis")),
        of_every_model(paths.model_table("singular_values")),


rule decompose_basis:
    input:
        code=modules_behind("decompose_basis"),
        factors=factors,
        provenance=provenance,
    output:
        basis=paths.span_table("basis"),
        singular_values=paths.span_table("singular_values"),
        coefficients=paths.BASIS_COEFFICIENTS,
    log:
        paths.log("decompose_basis", "{span}"),
    benchmark:
        paths.benchmark("decompose_basis", "{span}")
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
            "conditioning",
            "dense_max_dim",
            "gram_floor",
            "max_dim",
            "rank_cutoff",
        ),
    script:
        "../../scripts/decompose_basis.py"
