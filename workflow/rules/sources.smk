# What jobs are told: where weights come from, what is trained, what each stage depends on.


def configuration_of_study(wildcards):
    """What the study was computed with, and where what is of its models lies."""
    folders = {}
    for name, (model, _) in folders_of_models().items():
        folders.setdefault(model, []).append(name)
    return {
        "title": STUDY.title,
        "wings": list(WINGS),
        "models": {name: STUDY.models[name] | {"folders": folders[name]} for name in folders},
        "experiments": STUDY.experiments,
        "text": {"name": STUDY.text_name, **STUDY.text},
        "analysis": ANALYSIS,
        "figures": STUDY.figures,
    }


def configuration_of_folder(wildcards):
    """What decides the weights of a folder's model, and what in the folder is not as files have it."""
    model, stage = folders_of_models()[wildcards.model]
    settings = STUDY.models[model]
    return {
        "model": {key: value for key, value in settings.items() if key not in UNLIKE_WEIGHTS},
        "differs": differences_of(model, stage),
    }


def settings_of_small_model(wildcards):
    """What of the analysis each stage depends on, what it takes, and what it leaves."""
    return {
        stage: {
            "settings": settings_of_stage(stage),
            "inputs": inputs_of_stage(stage),
            "outputs": {name: name_of_output(stage, name) for name in outputs_of_stage(stage)},
        }
        for stage in stages_of_small_model()
    }


def settings_of_stage(stage):
    """The leaves of the analysis that a stage is told."""
    if stage == "measure_states":
        return analysis(*OF_STATES)
    return STAGES[stage].settings if stage in STAGES else {}


def code_of_small_model():
    """What the scripts of all stages are made of, themselves among it."""
    scripts = [*stages_of_small_model(), "measure_small"]
    return sorted(
        {module for script in scripts for module in modules_behind(script)}
        | {script_file(stage) for stage in stages_of_small_model()}
    )


def checkpoint_source(model):
    """What of a model's file decides its weights."""
    return source_of(STUDY.models[model])


def tokenizer_source(model):
    """Where the tokenizer of a model lies: with its weights, or with another's."""
    return source_of(STUDY.models[model]["tokenizer"] or STUDY.models[model])


def source_of(settings):
    source = {key: value for key, value in settings.items() if key not in UNLIKE_WEIGHTS}
    if source["train"] is not None:
        source["path"] = trained_folder(settings)
    if source["path"] is not None:
        source["path"] = str(Path(source["path"]).expanduser())
    return source


def run_of_model(settings):
    """The training that a model trained here is a checkpoint of, which has its file's name."""
    name = settings["name"]
    file = next((file for file, names in STUDY.series.items() if name in names), name)
    return folder_of_run(file, settings)


def trained_folder(settings):
    """The checkpoint's folder, of a model that is trained here."""
    trained = paths.TRAINED.format(run=run_of_model(settings))
    return f"{trained}/{settings['revision'].removeprefix('step')}"


def trained_here(wildcards):
    """That a model which is trained here has been; the others wait for nothing."""
    settings = STUDY.models[model_of(wildcards)]
    named = [settings, settings["tokenizer"] or settings]
    return [paths.TRAINED.format(run=run_of_model(it)) for it in named if it["train"] is not None]


def training(wildcards):
    """The settings of a training."""
    return RUNS[wildcards.run][0]


def seed_of_run(wildcards):
    seed = RUNS[wildcards.run][1]
    return ANALYSIS["seed"] if seed is None else seed


def tokens_of_run(wildcards):
    return paths.TRAINING_TOKENS.format(corpus=corpus_name(training(wildcards)))


def device_of_training(wildcards):
    """Where it is trained: a GPU may be there that it did not ask for."""
    return ANALYSIS["device"] if one_gpu_for_training(wildcards) else "cpu"


def runs_of_experiments():
    """Experiment, arm, seed and name of each run, in the order of the tables."""
    return [
        (name, arm, seed, run_name(settings, seed))
        for name, experiment in STUDY.experiments.items()
        for arm, seed, settings in arms_of(experiment)
    ]


def values_of_experiments():
    """What was measured of each run of those experiments that measure anything."""
    measures = {name: it["measure"] for name, it in STUDY.experiments.items()}
    return [
        paths.RUN_VALUES.format(run=run, measure=measures[name]) if measures[name] else ""
        for name, _, _, run in runs_of_experiments()
    ]


def seed_of_weights(wildcards):
    """The seed where weights are drawn; None where they are read and no seed has a say."""
    drawn = STUDY.models[model_of(wildcards)]["source"] == "init"
    return ANALYSIS["seed"] if drawn else None


def checkpoint_files(model):
    """Files of a local checkpoint, so that a changed checkpoint is read again."""
    return files_read(checkpoint_source(model))


def read_of_models(wildcards):
    """What there is of each model once it has been read, and what it was read by."""
    hub = [name for name, model in STUDY.models.items() if model["source"] == "hub"]
    return [
        *weights_of_models(wildcards),
        paths.study_configuration(STUDY.study),
        *(paths.CONFIGURATION.format(model=name) for name in folders_of_models()),
        *(map(fetched, hub) if "states" in WINGS else ()),
    ]
