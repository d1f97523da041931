wildcard_constraints:
    run="|".join(map(re.escape, RUNS)) or "(?!)",
    corpus="|".join(map(re.escape, CORPORA)) or "(?!)",
    measure=r"\w+",


rule training:
    input:
        expand(paths.TRAINED, run=RUNS),
    message:
        "all of: training"


localrules:
    gather_training_tokens,


rule gather_training_tokens:
    input:
        code=modules_behind("gather_training_tokens"),
    output:
        tokens=directory(paths.TRAINING_TOKENS),
    log:
        paths.log("gather_training_tokens", "{corpus}"),
    conda:
        "../../envs/environment.yaml"
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        content=lambda wildcards: content_of(texts_of(CORPORA[wildcards.corpus]["path"])),
    message:
        "training tokens of {wildcards.corpus}"
    script:
        "../../scripts/gather_training_tokens.py"


rule train_decoder:
    input:
        code=modules_behind("train_decoder"),
        tokens=tokens_of_run,
    output:
        trained=directory(paths.TRAINED),
    log:
        paths.log("train_decoder", "{run}"),
    benchmark:
        paths.benchmark("train_decoder", "{run}")
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * demand_training.mem_mb(training(wildcards)),
        runtime=lambda wildcards, attempt: attempt * demand_training.minutes(training(wildcards)),
        gpu=one_gpu_for_training,
    params:
        training=training,
        seed=seed_of_run,
        under_way=paths.UNDER_WAY,
        device=device_of_training,
    message:
        "training {wildcards.run}"
    script:
        "../../scripts/train_decoder.py"


rule measure_run:
    input:
        code=modules_behind("measure_run"),
        tokens=tokens_of_run,
        trained=paths.TRAINED,
    output:
        values=paths.RUN_VALUES,
    log:
        paths.log("measure_run.{measure}", "{run}"),
    benchmark:
        paths.benchmark("measure_run.{measure}", "{run}")
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * demand_training.mem_mb(training(wildcards)),
        runtime=lambda wildcards, attempt: attempt * demand_training.MEASURE_MINUTES,
        gpu=0,
    params:
        measure=lambda wildcards: wildcards.measure,
        seed=seed_of_run,
        device="cpu",
    message:
        "{wildcards.measure} over {wildcards.run}"
    script:
        "../../scripts/measure_run.py"
