rule states:
    input:
        [paths.study_table(STUDY.study, table) for table in STATES_TABLES],
    message:
        "all of: states"


localrules:
    fetch_model,
    gather_text,
    gather_state_tables,


rule gather_text:
    input:
        code=modules_behind("gather_text"),
    output:
        text=paths.TEXT,
        described=paths.TEXT_DESCRIBED,
    log:
        paths.log("gather_text", "{text}"),
    conda:
        "../../envs/environment.yaml"
    params:
        text=TEXT_SOURCE,
        content=TEXT_CONTENT,
    message:
        f"the text {STUDY.text_name}"
    script:
        "../../scripts/gather_text.py"


rule fetch_model:
    input:
        code=modules_behind("fetch_model"),
    output:
        fetched=paths.FETCHED,
    log:
        paths.log("fetch_model", "{model}"),
    conda:
        "../../envs/environment.yaml"
    params:
        source=lambda wildcards: checkpoint_source(model_of(wildcards)),
    message:
        "files of {wildcards.model} from the hub"
    script:
        "../../scripts/fetch_model.py"


rule measure_states:
    input:
        fetched_of_hub,
        trained_here,
        code=modules_behind("measure_states"),
        text=paths.TEXT.format(text=TEXT),
        described=paths.TEXT_DESCRIBED.format(text=TEXT),
        provenance=provenance,
    output:
        **{table: paths.model_table(table) for table in MEASURED_STATES},
        provenance=paths.READ_TEXT,
    log:
        paths.log("measure_states", "{model}"),
    benchmark:
        paths.benchmark("measure_states", "{model}")
    wildcard_constraints:
        model=one_of([folder(model, "measure_states") for model in LARGE]),
    # The longest job of a model: begun first, so that the others fill the time beside it.
    priority: 10
    conda:
        "../../envs/environment.yaml"
    threads: model_threads
    resources:
        mem_mb=asked_for_states(demand_states.mem_mb),
        runtime=asked_for_states(demand_states.runtime),
        gpu=one_gpu_for_states,
        gpu_model=gpu_model_for_states,
    params:
        **READING,
        settings=settings_of_stage("measure_states"),
        source=lambda wildcards: checkpoint_source(model_of(wildcards)),
        tokenizer=lambda wildcards: tokenizer_source(model_of(wildcards)),
        weights_seed=seed_of_weights,
        content=lambda wildcards: content_of(checkpoint_files(model_of(wildcards))),
    message:
        "states of {wildcards.model} on the text"
    script:
        "../../scripts/measure_states.py"


STAGES["measure_normality"] = Stage(
    title="normality of the heads",
    outputs=tables("head_normality", "pseudospectra"),
    settings={},
)


rule gather_state_tables:
    input:
        **{table: tables_of_models(table) for table in MEASURED_STATES},
        code=modules_behind("gather_state_tables"),
        head_normality=tables_of_models("head_normality"),
    output:
        **{table: paths.study_table(STUDY.study, table) for table in STATES_TABLES},
    log:
        paths.log("gather_state_tables", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        models=list(STUDY.models),
    message:
        "tables of the states"
    script:
        "../../scripts/gather_state_tables.py"
