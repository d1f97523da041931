# The rules of the stages that the files before this one name: what they all repeat is written here.
for name, stage in STAGES.items():

    rule:
        name:
            name
        input:
            **{name: of_basis(path) for name, path in stage.taken_of_basis.items()},
            code=modules_behind(name),
            factors=factors,
            provenance=provenance,
        output:
            **stage.outputs,
        log:
            paths.log(name, "{span}"),
        benchmark:
            paths.benchmark(name, "{span}")
        wildcard_constraints:
            span=one_of(spans_of_stage(name)),
        conda:
            "../../envs/environment.yaml"
        threads: model_threads
        resources:
            mem_mb=asked_for(mem_mb),
            runtime=asked_for(runtime),
            gpu=one_gpu if stage.gpu else 0,
            gpu_model=gpu_model if stage.gpu else "",
        params:
            # Told as a parameter: the path below is read when the job runs, not in this loop.
            stage=name,
            layers=layers,
            settings=stage.settings,
        message:
            f"{stage.title} of {{wildcards.span}}"
        script:
            "../../scripts/{params.stage}.py"
