rule claims:
    input:
        [paths.study_table(STUDY.study, table) for table in ("claims", "evidence")],
        paths.page(STUDY.study, "index"),
    message:
        "all of: claims"


localrules:
    judge_claims,
    write_pages,


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
        claims=report(
            paths.study_table(STUDY.study, "claims"),
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "The papers' claims"},
        ),
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


rule write_pages:
    input:
        code=modules_behind("write_pages"),
        templates=files_behind("src/headalgebra/pages/*.[!p]*"),
        tables=[
            paths.study_table(STUDY.study, table)
            for table in (
                *(*ALGEBRA_TABLES, *CONSTRUCTED_TABLES, *STATES_TABLES, *EXPERIMENT_TABLES),
                *("claims", "evidence", "cost"),
            )
        ],
        figures=paths.figures(STUDY.study),
        listing=paths.listing(STUDY.study),
        provenance=weights_of_models,
        configuration=paths.study_configuration(STUDY.study),
    output:
        **(
            {
                "layers": report(
                    paths.page(STUDY.study, "layers"),
                    caption="../report/layers.rst",
                    category="Phases",
                    labels={"figure": "Layers, interactive"},
                )
            }
            if "algebra" in WINGS
            else {}
        ),
        index=paths.page(STUDY.study, "index"),
    log:
        paths.log("write_pages", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        study=STUDY.study,
        title=STUDY.title,
        style=STUDY.figures,
        quantised=quantised,
        initialised=INITIALISED["initialised"],
        phases=ANALYSIS["phases"],
        provenance=provenance_caption,
    message:
        "the pages of the study"
    script:
        "../../scripts/write_pages.py"
