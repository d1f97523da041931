localrules:
    record_configuration,


rule record_configuration:
    output:
        list(configurations(None)),
    log:
        paths.log("record_configuration", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        configurations=configurations,
    message:
        "settings of the study and its models"
    script:
        "../../scripts/record_configuration.py"
