# What jobs ask for, and what a study will take.


def asked_for(estimate):
    """A resource of a stage: the model file's, or an estimate from its shape; more with each attempt.

    The shape is known once the weights are extracted, and that of the bases once they are.
    """

    def resource(wildcards, input, threads, attempt, rulename):
        model = STUDY.models[model_of(wildcards)]
        override = model["resources"][estimate.__name__]
        if override is not None:
            return attempt * override
        shape = demand.model_shape(input.provenance, model["layers_per_job"])
        if hasattr(input, "basis"):
            well_below = ANALYSIS["conditioning"]["well_below"]
            shape = demand.with_bases(rulename, shape, input.basis, well_below)
        return attempt * estimate(rulename, shape, threads)

    return resource


def mem_mb(stage, shape, threads):
    return demand.mem_mb(stage, shape, ANALYSIS)


def runtime(stage, shape, threads):
    return demand.minutes(stage, shape, ANALYSIS, threads)


def asked_for_states(estimate):
    """A resource of the job that runs a model: the model file's, or an estimate from its shape."""

    def resource(wildcards, input, threads, attempt):
        override = STUDY.models[model_of(wildcards)]["resources"][estimate.__name__]
        if override is not None:
            return attempt * override
        gpus = one_gpu_for_states(wildcards, input)
        return attempt * estimate(input.provenance, STUDY.text, ANALYSIS["states"], threads, gpus)

    return resource


def one_gpu_for_states(wildcards, input):
    """1 where a model is large enough for a GPU; known once its weights are read."""
    return int(ANALYSIS["device"] != "cpu" and demand_states.wants_gpu(input.provenance))


def gpu_model_for_states(wildcards, input):
    return gpu_of_site(one_gpu_for_states(wildcards, input))


def one_gpu_for_training(wildcards):
    """1 where a decoder is large enough for a GPU to be faster."""
    return int(ANALYSIS["device"] != "cpu" and demand_training.wants_gpu(training(wildcards)))


def outlined_shapes(outlines):
    """The shape of each model, known once it is outlined."""
    found = json.loads(Path(outlines).read_text(encoding="utf-8"))
    return {model: demand.recorded_shape(outline) for model, outline in found.items()}


def estimated_numbers(wildcards, input):
    """Numbers of Q and K that are kept of each model."""
    shapes = outlined_shapes(input.outlines)
    return {model: shape.layers * shape.factors for model, shape in shapes.items()}


def estimated_stages(wildcards, input):
    """Jobs of each stage of each model, and the seconds they take of one core."""
    jobs = Counter(span.model for span in SPANS.values())
    outlines = json.loads(Path(input.outlines).read_text(encoding="utf-8"))
    estimates = []
    for model, outline in outlines.items():
        shape = demand.recorded_shape(outline)
        seconds = {
            stage: demand.seconds_before_bases(stage, shape, ANALYSIS, jobs[model])
            for stage in WEIGHED
        }
        if "states" in WINGS:
            reading = demand_states.core_seconds(outline, STUDY.text, ANALYSIS["states"])
            seconds["measure_states"] = demand.START_SECONDS + reading
        if model in SMALL:
            starts = demand.START_SECONDS * (len(seconds) - 1)
            seconds = {"measure_small": sum(seconds.values()) - starts}
        estimates += [
            {
                "rule": stage,
                "model": model,
                "jobs": jobs[model] if stage in STAGES else 1,
                "cpu_s": of_stage,
            }
            for stage, of_stage in seconds.items()
        ]
    return estimates


def estimated_trainings(wildcards):
    """The same of the jobs that train decoders."""
    return [
        {
            "rule": "train_decoder",
            "model": run,
            "jobs": 1,
            "cpu_s": demand.START_SECONDS + demand_training.core_seconds(settings),
        }
        for run, (settings, _) in RUNS.items()
    ]


def one_gpu(wildcards, input, rulename):
    """1 where a stage has work that a GPU may do, as is known once the bases are."""
    shape = demand.model_shape(input.provenance, layers_per_job=None)
    n_layers = demand.n_routed(rulename, input.basis)
    return int(n_layers > 0 and demand.wants_gpu(rulename, shape, ANALYSIS))


def gpu_model(wildcards, input, rulename):
    return gpu_of_site(one_gpu(wildcards, input, rulename))


def gpu_of_site(gpus):
    """The kind of GPU that this site's environment names, where one is asked for at all."""
    return os.environ.get("HEADALGEBRA_GPU_MODEL", "") if gpus else ""
