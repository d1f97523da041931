rule measure_small:
    input:
        trained_here,
        code=code_of_small_model(),
        text=paths.TEXT.format(text=TEXT) if "states" in WINGS else [],
        described=paths.TEXT_DESCRIBED.format(text=TEXT) if "states" in WINGS else [],
    output:
        **outputs_of_small_model(),
    log:
        **{stage: paths.log(stage, "{model}") for stage in stages_of_small_model()},
    benchmark:
        paths.benchmark("measure_small", "{model}")
    wildcard_constraints:
        model=one_of([name for name, (model, _) in folders_of_models().items() if model in SMALL]),
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=lambda wildcards, attempt: attempt * demand.SMALL_MB,
        runtime=lambda wildcards, attempt: attempt * demand.SMALL_MINUTES,
        gpu=0,
    params:
        **(
            {
                "tokenizer": lambda wildcards: tokenizer_source(model_of(wildcards)),
                **READING,
            }
            if "states" in WINGS
            else {}
        ),
        configuration=configuration_of_folder,
        source=lambda wildcards: checkpoint_source(model_of(wildcards)),
        weights_seed=seed_of_weights,
        content=lambda wildcards: content_of(checkpoint_files(model_of(wildcards))),
        stages=settings_of_small_model,
    message:
        "all stages of {wildcards.model}"
    script:
        "../../scripts/measure_small.py"
