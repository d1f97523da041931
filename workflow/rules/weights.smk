rule weights:
    input:
        read_of_models,
    message:
        "all of: weights"


localrules:
    extract_weights,


rule extract_weights:
    input:
        trained_here,
        code=modules_behind("extract_weights"),
    output:
        factors=directory(paths.FACTORS),
        provenance=paths.PROVENANCE,
    log:
        paths.log("extract_weights", "{model}"),
    benchmark:
        paths.benchmark("extract_weights", "{model}")
    wildcard_constraints:
        model=one_of([folder(model, "extract_weights") for model in LARGE]),
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    params:
        source=lambda wildcards: checkpoint_source(model_of(wildcards)),
        seed=seed_of_weights,
        content=lambda wildcards: content_of(checkpoint_files(model_of(wildcards))),
    message:
        "query and key weights of {wildcards.model}"
    script:
        "../../scripts/extract_weights.py"
