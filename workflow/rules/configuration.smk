localrules:
    record_study,
    record_folder,


rule record_study:
    output:
        paths.study_configuration(STUDY.study),
    log:
        paths.log("record_study", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        configuration=configuration_of_study,
    message:
        "settings of the study"
    script:
        "../../scripts/record_configuration.py"


rule record_folder:
    output:
        paths.CONFIGURATION,
    log:
        paths.log("record_configuration", "{model}"),
    wildcard_constraints:
        model=one_of([name for name, (model, _) in folders_of_models().items() if model in LARGE]),
    conda:
        "../../envs/environment.yaml"
    params:
        configuration=configuration_of_folder,
    message:
        "settings of {wildcards.model}"
    script:
        "../../scripts/record_configuration.py"
