rule experiments:
    input:
        [paths.study_table(STUDY.study, table) for table in EXPERIMENT_TABLES],
    message:
        "all of: experiments"


localrules:
    gather_experiments,


rule gather_experiments:
    input:
        code=modules_behind("gather_experiments"),
        trained=[paths.TRAINED.format(run=run) for *_, run in runs_of_experiments()],
        values=[path for path in values_of_experiments() if path],
    output:
        experiments=paths.study_table(STUDY.study, "experiments"),
        trainings=paths.study_table(STUDY.study, "trainings"),
        training_values=paths.study_table(STUDY.study, "training_values"),
    log:
        paths.log("gather_experiments", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        runs=runs_of_experiments(),
        # Paths, which Snakemake gives as inputs without the gaps of experiments that measure none.
        values=values_of_experiments(),
        experiments=STUDY.experiments,
        seed=ANALYSIS["seed"],
    message:
        "arms of the experiments"
    script:
        "../../scripts/gather_experiments.py"
