rule claims:
    input:
        [paths.study_table(STUDY.study, table) for table in ("claims", "evidence")],
        paths.page(STUDY.study, "claims"),
    message:
        "all of: claims"


localrules:
    judge_claims,
    write_claims_page,


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
        provenance=weights_of_models,
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
    message:
        "the papers' claims, judged"
    script:
        "../../scripts/judge_claims.py"


rule write_claims_page:
    input:
        code=modules_behind("write_claims_page"),
        claims=paths.study_table(STUDY.study, "claims"),
        evidence=paths.study_table(STUDY.study, "evidence"),
        figures=paths.figures(STUDY.study),
        listing=paths.listing(STUDY.study),
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
    message:
        "page of the claims"
    script:
        "../../scripts/write_claims_page.py"
