rule tables:
    input:
        [paths.study_table(STUDY.study, it) for it in (*ALGEBRA_TABLES, *CONSTRUCTED_TABLES)],
    message:
        "all of: tables"


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
        model=with_digests(SPLIT_MODELS),
        # Not those of the job that runs a whole model.
        table=rf"(?!(?:{'|'.join(MEASURED_STATES)})\.)\w+",
    conda:
        "../../envs/environment.yaml"
    message:
        "{wildcards.table} of {wildcards.model} from its spans"
    script:
        "../../scripts/join_spans.py"


rule gather_tables:
    input:
        **{it: constructed(it, paths.constructed_table) for it in CONSTRUCTED},
        code=modules_behind("gather_tables"),
        provenance=weights_of_models,
        basis=tables_of_models("basis"),
        epsilon=tables_of_models("epsilon"),
        linf_dense=tables_of_models("linf_dense"),
        linf_sampled=tables_of_models("linf_sampled"),
        sampling=tables_of_models("sampling"),
        precision=tables_of_models("precision"),
        literal=tables_of_models("literal"),
        associator=tables_of_models("associator"),
        coherence=tables_of_models("coherence"),
        nulls=tables_of_models("nulls"),
        tower=tables_of_models("tower"),
        gauge=tables_of_models("gauge"),
    output:
        **{table: paths.study_table(STUDY.study, table) for table in CONSTRUCTED},
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
    message:
        "tables of the algebra"
    script:
        "../../scripts/gather_tables.py"


rule gather_cost:
    input:
        code=modules_behind("gather_cost"),
        benchmarks=lambda wildcards: [path for _, _, path in benchmarks()],
    output:
        cost=paths.study_table(STUDY.study, "cost"),
    log:
        paths.log("gather_cost", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        jobs=lambda wildcards: [(rule, model) for rule, model, _ in benchmarks()],
    message:
        "what the stages cost"
    script:
        "../../scripts/gather_cost.py"
