rule figures:
    input:
        [paths.figure(STUDY.study, name, suffix) for name in FIGURES for suffix in ("svg", "png")],


localrules:
    draw_epsilon,
    draw_singular_values,
    draw_jacobiator,
    draw_obstruction,
    draw_commutators,
    draw_associator,
    draw_tower,
    draw_nulls,
    draw_training,


rule draw_epsilon:
    input:
        code=modules_behind("draw_epsilon"),
        layers=paths.study_table(STUDY.study, "layers"),
    output:
        **report_figure("epsilon", "epsilon"),
    log:
        paths.log("draw_epsilon", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
        phases=ANALYSIS["phases"],
    script:
        "../../scripts/draw_epsilon.py"


rule draw_singular_values:
    input:
        code=modules_behind("draw_singular_values"),
        layers=paths.study_table(STUDY.study, "layers"),
        singular_values=of_every_model(paths.model_table("singular_values")),
    output:
        **report_figure("singular_values", "singular_values"),
    log:
        paths.log("draw_singular_values", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
        models=list(STUDY.models),
        conditioning=ANALYSIS["conditioning"],
    script:
        "../../scripts/draw_singular_values.py"


rule draw_jacobiator:
    input:
        code=modules_behind("draw_jacobiator"),
        precision=paths.study_table(STUDY.study, "precision"),
    output:
        **report_figure("jacobiator", "jacobiator"),
    log:
        paths.log("draw_jacobiator", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_jacobiator.py"


rule draw_obstruction:
    input:
        code=modules_behind("draw_obstruction"),
        layers=paths.study_table(STUDY.study, "layers"),
    output:
        **report_figure("obstruction", "obstruction"),
    log:
        paths.log("draw_obstruction", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_obstruction.py"


rule draw_commutators:
    input:
        code=modules_behind("draw_commutators"),
        pairs=paths.model_table("pairs"),
    output:
        **report_figure("commutators_{model}", "commutators"),
    log:
        paths.log(f"draw_commutators.{STUDY.study}", "{model}"),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_commutators.py"


rule draw_associator:
    input:
        code=modules_behind("draw_associator"),
        associator=paths.study_table(STUDY.study, "associator"),
    output:
        **report_figure("associator", "associator"),
    log:
        paths.log("draw_associator", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_associator.py"


rule draw_tower:
    input:
        code=modules_behind("draw_tower"),
        tower=paths.study_table(STUDY.study, "tower"),
    output:
        **report_figure("tower", "tower"),
    log:
        paths.log("draw_tower", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_tower.py"


rule draw_nulls:
    input:
        code=modules_behind("draw_nulls"),
        epsilon=paths.model_table("epsilon"),
        coherence=paths.model_table("coherence"),
        nulls=paths.model_table("nulls"),
    output:
        **report_figure("nulls_{model}", "nulls"),
    log:
        paths.log(f"draw_nulls.{STUDY.study}", "{model}"),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
    script:
        "../../scripts/draw_nulls.py"


rule draw_training:
    input:
        code=modules_behind("draw_training"),
        layers=paths.study_table(STUDY.study, "layers"),
    output:
        **report_figure("training_{series}", "training"),
    log:
        paths.log(f"draw_training.{STUDY.study}", "{series}"),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
        models=lambda wildcards: STUDY.series[wildcards.series],
    script:
        "../../scripts/draw_training.py"
