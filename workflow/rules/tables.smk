rule tables:
    input:
        [paths.study_table(STUDY.study, table) for table in ALGEBRA_TABLES],


localrules:
    join_spans,
    gather_tables,
    gather_cost,


rule join_spans:
    input:
        code=modules_behind("join_spans"),
        spans=spans_of_table,
    output:
        paths.model_table("{table}"),
    log:
        paths.log("join_spans.{table}", "{model}"),
    wildcard_constraints:
        model="|".join(map(re.escape, SPLIT_MODELS)) or "(?!)",
        # Not those of the job that runs a whole model.
        table=rf"(?!(?:{'|'.join(MEASURED_STATES)})\.)\w+",
    conda:
        "../../envs/environment.yaml"
    script:
        "../../scripts/join_spans.py"


rule gather_tables:
    input:
        code=modules_behind("gather_tables"),
        provenance=of_every_model(paths.PROVENANCE),
        basis=of_every_model(paths.model_table("basis")),
        epsilon=of_every_model(paths.model_table("epsilon")),
        linf_dense=of_every_model(paths.model_table("linf_dense")),
        linf_sampled=of_every_model(paths.model_table("linf_sampled")),
        sampling=of_every_model(paths.model_table("sampling")),
        precision=of_every_model(paths.model_table("precision")),
        literal=of_every_model(paths.model_table("literal")),
        associator=of_every_model(paths.model_table("associator")),
        coherence=of_every_model(paths.model_table("coherence")),
        nulls=of_every_model(paths.model_table("nulls")),
        tower=of_every_model(paths.model_table("tower")),
        gauge=of_every_model(paths.model_table("gauge")),
    output:
        layers=paths.study_table(STUDY.study, "layers"),
        phases=paths.study_table(STUDY.study, "phases"),
        sampling=paths.study_table(STUDY.study, "sampling"),
        precision=paths.study_table(STUDY.study, "precision"),
        literal=paths.study_table(STUDY.study, "literal"),
        associator=paths.study_table(STUDY.study, "associator"),
        nulls=paths.study_table(STUDY.study, "nulls"),
        tower=paths.study_table(STUDY.study, "tower"),
    log:
        paths.log("gather_tables", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        models=list(STUDY.models),
        phases=ANALYSIS["phases"],
    script:
        "../../scripts/gather_tables.py"


rule gather_cost:
    input:
        code=modules_behind("gather_cost"),
        benchmarks=[path for _, _, path in BENCHMARKS],
    output:
        cost=paths.study_table(STUDY.study, "cost"),
    log:
        paths.log("gather_cost", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        jobs=[(rule, model) for rule, model, _ in BENCHMARKS],
    script:
        "../../scripts/gather_cost.py"
