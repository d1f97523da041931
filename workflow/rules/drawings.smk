# Which figures there are, and what each is drawn from.


def provenance_caption(wildcards, input):
    """What a caption says of its models; known once they are read."""
    return provenance_lines(read_provenance(input.provenance))


def quantised(wildcards, input):
    """How a GGUF file has the weights of the models that are from one."""
    return quantisations(read_provenance(input.provenance))


def table_of_model(table):
    """Where a table of the model lies that a figure is of."""
    return lambda model: of_model(paths.model_table(table), model, stage_of_table(table))


def named_table_of_model(table):
    """The same, for a figure that takes the model's name from the table."""
    return lambda model: {model: table_of_model(table)(model)}


def table_of_all_models(table):
    """The same of every model of the study."""
    return lambda subject: {model: table_of_model(table)(model) for model in STUDY.models}


def families(subject, records):
    """The family of each model: the architecture that was read, and who made the model."""
    found = {
        model: " of ".join(filter(None, (record["family"], STUDY.models[model]["organisation"])))
        for model, record in records.items()
    }
    return {"families": found, **INITIALISED}


def beside_initialisation(**settings):
    """Settings of a figure that has a trained model beside its architecture at initialisation."""
    return lambda subject, records: {
        "initialisations": before_training(records, INITIALISED["initialised"]),
        **INITIALISED,
        **settings,
    }


def of_its_model(subject, records):
    """Settings of a figure of one model."""
    return {"model": subject}


def bounds(*keys):
    """Those of the claims' bounds that a figure draws as lines."""
    return {key: ANALYSIS["claims"][key] for key in keys}


def with_runs(table):
    """A table of what models did with the text, and that of how each was run."""
    return {name: paths.study_table(STUDY.study, name) for name in (table, "runs")}


def experiment_figure(experiment, records):
    """What the figure of an experiment draws as what."""
    described = STUDY.experiments[experiment]
    keys = ("title", "quantity", "comparison", "control", "cells")
    return {"experiment": experiment, **{key: described[key] for key in keys}}


def course_figure(experiment, records):
    """What the figure of an experiment's trainings is called."""
    return {"experiment": experiment, "title": STUDY.experiments[experiment]["title"]}


def training_of_series(series):
    """The folder of the training that a series is of; none where it was not trained here."""
    first = STUDY.models[STUDY.series[series][0]]
    return paths.TRAINED.format(run=run_of_model(first)) if first["train"] else []


def training_run(series, records):
    """How the figure of a training run is called, its checkpoints by revision, and its floors."""
    revisions = {name.removeprefix(f"{series}."): name for name in STUDY.series[series]}
    folder = training_of_series(series)
    if folder:
        # Names the input where it is not there yet: Snakemake asks again once it is.
        Path(folder).stat()
    ended = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8")) if folder else {}
    return {
        "checkpoints": revisions,
        "title": series,
        "floors": ended.get("validation_floors"),
    }


def drawings():
    """Every figure of the study: the name of its files, its kind, and its subject."""
    for kind, figure in FIGURES.items():
        subjects = {
            "study": [None],
            "model": ALONE,
            "series": STUDY.series,
            "experiment": figure.experiments or STUDY.experiments,
        }
        for subject in subjects[figure.per]:
            yield kind if subject is None else f"{kind}_{subject}", kind, subject


def tables_of_drawing(figure, subject):
    """Where the tables lie that a figure is drawn from, by what its function calls them."""
    found = {it: at(subject) if callable(at) else at for it, at in figure.tables.items()}
    return {it: at for it, at in found.items() if at}


def tables_of_drawings(wildcards):
    """All of these, each once."""
    found = [tables_of_drawing(FIGURES[kind], subject).values() for _, kind, subject in drawings()]
    files = [[it] if isinstance(it, str) else it.values() for at in found for it in at]
    return list(dict.fromkeys(path for paths in files for path in paths))


def described_drawings(wildcards, input):
    """What is drawn, and how; known once the models are read."""
    records = read_provenance(input.provenance)
    return {
        name: {
            "plot": FIGURES[kind].plot,
            "tables": tables_of_drawing(FIGURES[kind], subject),
            "settings": FIGURES[kind].settings_of(subject, records),
        }
        for name, kind, subject in drawings()
    }


def legends(wildcards):
    """What each figure is called and what it shows, in reStructuredText."""
    return {
        name: {
            "title": FIGURES[kind].title,
            "category": FIGURES[kind].category,
            "subject": subject,
            "caption": caption(kind, FIGURES[kind].counts, {FIGURES[kind].per: subject}),
        }
        for name, kind, subject in drawings()
    }


def decided_by(wildcards):
    """What decides how figures look beside their tables; Snakemake compares no function of input."""
    return {
        "phases": PHASES,
        "conditioning": CONDITIONING,
        "bounds": ANALYSIS["claims"],
        "organisations": {name: model["organisation"] for name, model in STUDY.models.items()},
        "experiments": STUDY.experiments,
        **INITIALISED,
    }


def category_of_file(wildcards):
    """Under what the report lists a figure."""
    return legends(wildcards)[wildcards.figure]["category"]


def labels_of_file(wildcards):
    """What the report calls a figure; of two labels it would take the second for a choice."""
    legend = legends(wildcards)[wildcards.figure]
    return {"figure": ", ".join(filter(None, (legend["title"], legend["subject"])))}
