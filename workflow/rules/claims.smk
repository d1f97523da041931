rule claims:
    input:
        [
            paths.study_table(STUDY.study, table)
            for table in (*CONSTRUCTED_TABLES, "claims", "evidence")
        ],
        paths.page(STUDY.study, "claims"),


localrules:
    judge_claims,
    write_claims_page,


# Layers made to have a known answer, or a size that the paper speaks of: no model has a part in them.
CONSTRUCTED = {
    "conditioning": {
        "settings": analysis(
            "balance_above",
            "conditioning",
            "gram_floor",
            "probes",
            "rank_cutoff",
            "seed",
        ),
        "mem_mb": 2000,
    },
    "feasibility": {
        "settings": analysis("balance_above", "gram_floor", "probes", "rank_cutoff", "seed"),
        "mem_mb": 4000,
    },
}

for table, constructed in CONSTRUCTED.items():

    rule:
        name:
            f"measure_{table}"
        input:
            code=modules_behind(f"measure_{table}"),
        output:
            paths.study_table(STUDY.study, table),
        log:
            paths.log(f"measure_{table}", STUDY.study),
        benchmark:
            paths.benchmark(f"measure_{table}", STUDY.study)
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt, mem_mb=constructed["mem_mb"]: attempt * mem_mb,
            runtime=lambda wildcards, attempt: attempt * 20,
            gpu=0,
        params:
            table=table,
            settings=constructed["settings"],
        script:
            "../../scripts/measure_{params.table}.py"


# Tables that no claim rests on.
DRAWN_ONLY = ("phases", "associator", "nulls", "trainings", "training_values")


rule judge_claims:
    input:
        **{
            table: paths.study_table(STUDY.study, table)
            for table in (*ALGEBRA_TABLES, *CONSTRUCTED_TABLES, *STATES_TABLES, *EXPERIMENT_TABLES)
            if table not in DRAWN_ONLY
        },
        code=modules_behind("judge_claims"),
        provenance=of_every_model(paths.PROVENANCE),
    output:
        claims=paths.study_table(STUDY.study, "claims"),
        evidence=paths.study_table(STUDY.study, "evidence"),
    log:
        paths.log("judge_claims", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        trained={name: model["trained"] for name, model in STUDY.models.items()},
        organisations={name: model["organisation"] for name, model in STUDY.models.items()},
        series=STUDY.series,
        thresholds=ANALYSIS["claims"],
        seed=ANALYSIS["seed"],
    script:
        "../../scripts/judge_claims.py"


rule write_claims_page:
    input:
        code=modules_behind("write_claims_page"),
        claims=paths.study_table(STUDY.study, "claims"),
        evidence=paths.study_table(STUDY.study, "evidence"),
        figures=files_of_figures("png"),
    output:
        page=report(
            paths.page(STUDY.study, "claims"),
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "The paper's claims", "models": "the study's"},
        ),
    log:
        paths.log("write_claims_page", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        title=STUDY.title,
        figures=[Path(svg).name for svg in files_of_figures("svg")],
    script:
        "../../scripts/write_claims_page.py"
