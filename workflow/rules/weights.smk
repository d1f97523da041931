rule weights:
    input:
        of_every_model(paths.PROVENANCE),
        of_every_model(paths.CONFIGURATION),
        [
            paths.FETCHED.format(model=name)
            for name, model in STUDY.models.items()
            if model["source"] == "hub" and "states" in WINGS
        ],


localrules:
    record_configuration,
    extract_weights,


rule record_configuration:
    output:
        paths.CONFIGURATION,
    log:
        paths.log("record_configuration", "{model}"),
    conda:
        "../../envs/environment.yaml"
    params:
        model=lambda wildcards: STUDY.models[wildcards.model],
        analysis=ANALYSIS,
    script:
        "../../scripts/record_configuration.py"


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
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    params:
        source=lambda wildcards: checkpoint_source(wildcards.model),
        seed=seed_of_weights,
        content=lambda wildcards: content_of(checkpoint_files(wildcards.model)),
    script:
        "../../scripts/extract_weights.py"
