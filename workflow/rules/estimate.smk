rule estimate:
    input:
        paths.study_table(STUDY.study, "estimate"),
    message:
        "all of: estimate"


localrules:
    outline_checkpoints,
    estimate_cost,


rule outline_checkpoints:
    input:
        code=modules_behind("outline_checkpoints"),
        checkpoints=[path for model in STORED for path in checkpoint_files(model)],
    output:
        outlines=paths.outlines(STUDY.study),
    log:
        paths.log("outline_checkpoints", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        sources=[checkpoint_source(model) for model in STORED],
        seed=ANALYSIS["seed"],
        content=[content_of(checkpoint_files(model)) for model in STORED],
    message:
        "what the models are"
    script:
        "../../scripts/outline_checkpoints.py"


rule estimate_cost:
    input:
        code=modules_behind("estimate_cost"),
        outlines=paths.outlines(STUDY.study),
    output:
        estimate=paths.study_table(STUDY.study, "estimate"),
    log:
        paths.log("estimate_cost", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        kept=estimated_numbers,
        stages=estimated_stages,
        trainings=estimated_trainings,
    message:
        "what the study would cost"
    script:
        "../../scripts/estimate_cost.py"
