# Where what each stage leaves of each model lies.


def folder(model, stage):
    """The folder of what a stage gives of a model: its name, and a digest of what differs."""
    return addressed(model, differences_of(model, stage))


def differences_of(model, stage):
    """What differs from the files that a stage of a model depends on."""
    settings, differences = STUDY.models[model], STUDY.differences
    if model in SMALL:
        keys = {key for each in stages_of_models() for key in keys_of_stage(each)}
        if set(WINGS) == {"algebra", "states"}:
            return differences.of_reading(settings, keys)
        # One job does what the wings of the study want, and of others it would be another job.
        of_wing = differences.of_reading if "states" in WINGS else differences.of_stage
        return of_wing(settings, keys) | {"wings": sorted(WINGS)}
    if stage == "extract_weights":
        return differences.of_weights(settings)
    keys = keys_of_stage(stage)
    if stage == "measure_states":
        return differences.of_reading(settings, keys)
    return differences.of_stage(settings, keys)


def keys_of_stage(stage):
    """Keys of the analysis that a stage of a model depends on, and those before it."""
    if stage == "extract_weights":
        return []
    if stage == "measure_states":
        return [*OF_STATES]
    before = STAGES["decompose_basis"].settings if STAGES[stage].follows_basis else ()
    return [*STAGES[stage].settings, *before]


def folder_of_run(name, settings):
    """The same of a training that a model's file describes."""
    return addressed(name, STUDY.differences.of_training(settings))


# The trainings, and what they are trained on.
RUNS = runs_of(STUDY, folder_of_run)
CORPORA = corpora_of(RUNS)


def stage_of_table(table):
    """The stage that gives a table of a model."""
    if table in MEASURED_STATES:
        return "measure_states"
    return next(name for name, stage in STAGES.items() if table in stage.outputs)


def of_model(path, model, stage):
    """A file that a stage leaves of a model."""
    return path.format(model=folder(model, stage))


def of_models(path, stage):
    """The same of each model."""
    return [of_model(path, model, stage) for model in STUDY.models]


def tables_of_models(*names):
    """Tables of each model; known once every stage is described."""

    def tables(wildcards):
        return [
            path
            for name in names
            for path in of_models(paths.model_table(name), stage_of_table(name))
        ]

    return tables


def measured_of_models(wildcards):
    """Every table that the stages leave of each model.

    Tables of the study rest on them. One that was lost is made again, even where those are there;
    factors, which are large, are when a stage needs them.
    """
    found = [
        path.format(span=folder(span.model, stage) + name.removeprefix(span.model))
        for name, span in SPANS.items()
        for stage in WEIGHED
        for path in STAGES[stage].outputs.values()
    ]
    if "states" in WINGS:
        for table in MEASURED_STATES:
            found += of_models(paths.model_table(table), "measure_states")
    return found


def weights_of_models(wildcards):
    """What the weights of each model were read from."""
    return of_models(paths.PROVENANCE, "extract_weights")


def folders_of_models():
    """Every folder of results of the models, each with its model and a stage that is in it."""
    return {
        folder(model, stage): (model, stage)
        for model in STUDY.models
        for stage in ("extract_weights", *stages_of_models())
    }


def stages_of_models():
    """The stages that each model of the study goes through, once its weights are read."""
    return [*WEIGHED, *(["measure_states"] if "states" in WINGS else [])]


def stages_of_small_model():
    """The stages in the order in which one job goes through them."""
    return ["record_configuration", "extract_weights", *stages_of_models()]


def outputs_of_stage(stage):
    """Where the files of a stage of a small model lie, by the names its script knows them by."""
    if stage == "record_configuration":
        return {"configuration": paths.CONFIGURATION}
    if stage == "extract_weights":
        return {"factors": paths.FACTORS, "provenance": paths.PROVENANCE}
    if stage == "measure_states":
        return {
            **{table: paths.model_table(table) for table in MEASURED_STATES},
            "provenance": paths.READ_TEXT,
        }
    return {name: path.replace("{span}", "{model}") for name, path in STAGES[stage].outputs.items()}


def inputs_of_stage(stage):
    """What a stage takes of what those before it, or other rules, left."""
    if stage in STAGES:
        return [*STAGES[stage].taken_of_basis, "factors", "provenance"]
    return ["text", "described", "provenance"] if stage == "measure_states" else []


def name_of_output(stage, name):
    """The name of such a file among those of all stages."""
    return "read_text" if (stage, name) == ("measure_states", "provenance") else name


def outputs_of_small_model():
    """All that the job of a small model leaves."""
    return {
        name_of_output(stage, name): directory(path) if path == paths.FACTORS else path
        for stage in stages_of_small_model()
        for name, path in outputs_of_stage(stage).items()
    }


def spans_of_stage(stage):
    """Where the jobs of a stage of large models leave what they do."""
    return [
        folder(span.model, stage) + name.removeprefix(span.model)
        for name, span in SPANS.items()
        if span.model in LARGE
    ]


def benchmarks():
    """Rule, model and benchmark of every job that computes."""
    for model in STUDY.models:
        if model in SMALL:
            name = folder(model, "measure_small")
            yield "measure_small", model, paths.benchmark("measure_small", name)
            continue
        for stage in ("extract_weights", *stages_of_models()):
            name = folder(model, stage)
            inside = [it for it, span in SPANS.items() if span.model == model]
            for span in inside if stage in STAGES else [model]:
                yield stage, model, paths.benchmark(stage, name + span.removeprefix(model))
    for run in RUNS:
        yield "train_decoder", run, paths.benchmark("train_decoder", run)
    for table in CONSTRUCTED_TABLES:
        yield f"measure_{table}", "", constructed(table, paths.benchmark)


def model_of(wildcards):
    """The model a job belongs to, whether it is the whole of it or a span of layers."""
    return plain(getattr(wildcards, "model", None) or wildcards.span).partition("/")[0]


def factors(wildcards):
    model = model_of(wildcards)
    return paths.FACTORS.format(model=folder(model, "extract_weights"))


def provenance(wildcards):
    model = model_of(wildcards)
    return paths.PROVENANCE.format(model=folder(model, "extract_weights"))


def of_basis(path):
    """A file of the basis stage, of the layers that a job works on."""

    def found(wildcards):
        model = model_of(wildcards)
        layers = plain(wildcards.span).removeprefix(model)
        return path.format(span=folder(model, "decompose_basis") + layers)

    return found


def layers(wildcards):
    return SPANS[plain(wildcards.span)].layers


def model_threads(wildcards):
    return STUDY.models[model_of(wildcards)]["threads"]


def fetched_of_hub(wildcards):
    """That a model of the hub is whole on this machine; jobs need no network then."""
    model = model_of(wildcards)
    return [fetched(model)] if STUDY.models[model]["source"] == "hub" else []


def fetched(model):
    """That all files of a model of the hub are here."""
    return paths.FETCHED.format(model=folder(model, "extract_weights"))


def spans_of_table(wildcards):
    """One table of every span of a split model."""
    model = model_of(wildcards)
    return [
        paths.span_table(wildcards.table).format(span=wildcards.model + name.removeprefix(model))
        for name, span in SPANS.items()
        if span.model == model
    ]


def constructed(table, path):
    """A file of what is measured of constructed layers."""
    differences = STUDY.differences.of_analysis(CONSTRUCTED[table]["keys"])
    return path(f"measure_{table}", addressed("constructed", differences))
