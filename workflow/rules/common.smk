import json
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

import demand
import demand_states
import demand_training
import locks
import paths
from captions import provenance_lines, quantisations, read_provenance
from code_inputs import modules_behind
from content import content_of, files_read
from availability import refuse_absent
from configuration import UNLIKE_WEIGHTS, ConfigurationError, compose
from figures import Figure, before_training, gpt2_medium, of_source
from spans import spans_of
from stages import Stage, tables
from trainings import arms_of, corpora_of, corpus_name, run_name, runs_of, texts_of
from typed import as_typed

if set("{}") & set(str(paths.ROOT)):
    sys.exit(f"{paths.ROOT}: Snakemake takes a brace in a path for a wildcard; move the repository")

try:
    STUDY = compose(as_typed(config, workflow.config_settings.config_args), paths.ROOT / "config")
    if workflow.is_main_process:
        refuse_absent(STUDY)
except ConfigurationError as error:
    sys.exit(str(error))

if workflow.is_main_process and (advice := locks.advice()):
    print(advice, file=sys.stderr)

# Jobs inherit these. By default glibc gives freed blocks back to the system, and having them again
# page by page takes a quarter of the time of layers as small as the demo's.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**28))

ANALYSIS = STUDY.analysis
WINGS = STUDY.wings
SPANS = {
    name: span
    for model in STUDY.models
    for name, span in spans_of(model, STUDY.models[model]).items()
}
# By the names of their rules; the files of the stages fill it.
STAGES: dict[str, Stage] = {}
# The tables of each wing that a study has.
ALGEBRA_TABLES = (
    ("layers", "phases", "sampling", "precision", "literal", "associator", "nulls", "tower")
    if "algebra" in WINGS
    else ()
)
CONSTRUCTED_TABLES = ("conditioning", "feasibility") if "algebra" in WINGS else ()
STATES_TABLES = (
    (
        *("runs", "guards", "states", "dyson", "resummation", "normality", "convolution"),
        *("geometry", "axes", "drift"),
    )
    if "states" in WINGS
    else ()
)
# Those of a model that the job writes which runs it.
MEASURED_STATES = (
    *("runs", "guards", "states", "dyson", "resummation", "block_normality", "convolution"),
    *("geometry", "axes", "drift"),
)
# The stages of each wing that work on a model's weights.
STAGES_OF_STATES = {"measure_normality"}
WEIGHED = [
    stage
    for stage in demand.STAGES
    if ("states" if stage in STAGES_OF_STATES else "algebra") in WINGS
]
EXPERIMENT_TABLES = ("experiments", "trainings", "training_values") if STUDY.experiments else ()
# Measures that follow a training from checkpoint to checkpoint.
OF_THE_COURSE = ("training_course", "gradient_stability")
# The trainings, and what they are trained on.
RUNS = runs_of(STUDY)
CORPORA = corpora_of(RUNS)
# What decides the text that models read.
TEXT_SOURCE = {key: STUDY.text[key] for key in ("corpus", "packages", "path")}
TEXT_CONTENT = content_of(
    [str(Path(STUDY.text["path"]).expanduser())] if STUDY.text["path"] else []
)
# Rule, model and benchmark of every job that computes.
BENCHMARKS = [
    *(
        ("extract_weights", model, paths.benchmark("extract_weights", model))
        for model in STUDY.models
    ),
    *(
        (stage, span.model, paths.benchmark(stage, name))
        for stage in WEIGHED
        for name, span in SPANS.items()
    ),
    *(
        ("measure_states", model, paths.benchmark("measure_states", model))
        for model in (STUDY.models if "states" in WINGS else ())
    ),
    *(("train_decoder", run, paths.benchmark("train_decoder", run)) for run in RUNS),
    *(
        (f"measure_{table}", "", paths.benchmark(f"measure_{table}", STUDY.study))
        for table in CONSTRUCTED_TABLES
    ),
]
INITIALISED = {"initialised": of_source(STUDY.models.values(), "init")}
# Of a training run there are many checkpoints: one figure for all of them.
ALONE = [m for m in STUDY.models if not any(m in series for series in STUDY.series.values())]
# What there is to read before anything is trained.
STORED = [name for name, model in STUDY.models.items() if model["train"] is None]
SPLIT_MODELS = sorted({span.model for span in SPANS.values() if span.layers})


wildcard_constraints:
    model="|".join(map(re.escape, STUDY.models)) or "(?!)",
    span="|".join(map(re.escape, SPANS)) or "(?!)",
    experiment="|".join(map(re.escape, STUDY.experiments)) or "(?!)",
    series="|".join(map(re.escape, STUDY.series)) or "(?!)",


def model_of(wildcards):
    """The model a job belongs to, whether it is the whole of it or a span of layers."""
    return wildcards.model if hasattr(wildcards, "model") else SPANS[wildcards.span].model


def factors(wildcards):
    return paths.FACTORS.format(model=model_of(wildcards))


def provenance(wildcards):
    return paths.PROVENANCE.format(model=model_of(wildcards))


def layers(wildcards):
    return SPANS[wildcards.span].layers


def model_threads(wildcards):
    return STUDY.models[model_of(wildcards)]["threads"]


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
        override = STUDY.models[wildcards.model]["resources"][estimate.__name__]
        if override is not None:
            return attempt * override
        return attempt * estimate(input.provenance, STUDY.text, ANALYSIS["states"], threads)

    return resource


def fetched_of_hub(wildcards):
    """That a model of the hub is whole on this machine; jobs need no network then."""
    of_hub = STUDY.models[wildcards.model]["source"] == "hub"
    return [paths.FETCHED.format(model=wildcards.model)] if of_hub else []


def one_gpu_for_states(wildcards, input):
    """1 where a model is large enough for a GPU; known once its weights are read."""
    return int(ANALYSIS["device"] != "cpu" and demand_states.wants_gpu(input.provenance))


def gpu_model_for_states(wildcards, input):
    """The kind of GPU that this site's environment names, where one is asked for at all."""
    wanted = os.environ.get("HEADALGEBRA_GPU_MODEL", "")
    return wanted if wanted and one_gpu_for_states(wildcards, input) else ""


def analysis(*keys):
    """Those leaves of the analysis that a rule depends on, and no other, as one parameter.

    Snakemake compares the parameters of a job as a set of values without their names: of two keys
    of equal value one could change unseen, were they parameters of their own.
    """
    leaves = {}
    for key in keys:
        leaf = ANALYSIS
        for part in key.split("."):
            leaf = leaf[part]
        leaves[key] = leaf
    return leaves


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
    return next((file for file, names in STUDY.series.items() if name in names), name)


def trained_folder(settings):
    """The checkpoint's folder, of a model that is trained here."""
    trained = paths.TRAINED.format(run=run_of_model(settings))
    return f"{trained}/{settings['revision'].removeprefix('step')}"


def trained_here(wildcards):
    """That a model which is trained here has been; the others wait for nothing."""
    settings = STUDY.models[wildcards.model]
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


def one_gpu_for_training(wildcards):
    """1 where a decoder is large enough for a GPU to be faster."""
    return int(ANALYSIS["device"] != "cpu" and demand_training.wants_gpu(training(wildcards)))


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
    drawn = STUDY.models[wildcards.model]["source"] == "init"
    return ANALYSIS["seed"] if drawn else None


def checkpoint_files(model):
    """Files of a local checkpoint, so that a changed checkpoint is read again."""
    return files_read(checkpoint_source(model))


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
    return [
        {
            "rule": stage,
            "model": model,
            "jobs": jobs[model],
            "cpu_s": demand.seconds_before_bases(stage, shape, ANALYSIS, jobs[model]),
        }
        for model, shape in outlined_shapes(input.outlines).items()
        for stage in WEIGHED
    ] + estimated_reading(input.outlines)


def estimated_reading(outlines):
    """The same of the job of each model that runs it on the text."""
    if "states" not in WINGS:
        return []
    found = json.loads(Path(outlines).read_text(encoding="utf-8"))
    return [
        {
            "rule": "measure_states",
            "model": model,
            "jobs": 1,
            "cpu_s": demand.START_SECONDS
            + demand_states.core_seconds(outline, STUDY.text, ANALYSIS["states"]),
        }
        for model, outline in found.items()
    ]


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


def one_gpu_for_dense_layers(wildcards, input):
    """1 where basis routed a layer to dense extraction that may use a GPU; known after basis."""
    if ANALYSIS["device"] == "cpu":
        return 0
    return int(demand.n_routed("extract_linf_dense", input.basis) > 0)


def gpu_model_for_dense_layers(wildcards, input):
    """The kind of GPU that this site's environment names, where one is asked for at all."""
    wanted = os.environ.get("HEADALGEBRA_GPU_MODEL", "")
    return wanted if wanted and one_gpu_for_dense_layers(wildcards, input) else ""


def spans_of_table(wildcards):
    """One table of every span of a split model."""
    return [
        paths.span_table(wildcards.table).format(span=name)
        for name, span in SPANS.items()
        if span.model == wildcards.model
    ]


def of_every_model(path):
    return expand(path, model=STUDY.models)


def models_shown(wildcards):
    """The models that a figure shows: one, those of a training run, or the study's."""
    if hasattr(wildcards, "model"):
        return [wildcards.model]
    if hasattr(wildcards, "experiment"):
        return []
    return STUDY.series[wildcards.series] if hasattr(wildcards, "series") else list(STUDY.models)


def provenance_shown(wildcards):
    return expand(paths.PROVENANCE, model=models_shown(wildcards))


def provenance_caption(wildcards, input):
    """What a caption says of its models; known once they are read."""
    return provenance_lines(read_provenance(input.provenance))


def quantised(wildcards, input):
    """How a GGUF file has the weights of the models that are from one."""
    return quantisations(read_provenance(input.provenance))


def families(provenance):
    """The family of each model: the architecture that was read, and who made the model."""
    return {
        model: " of ".join(filter(None, (record["family"], STUDY.models[model]["organisation"])))
        for model, record in read_provenance(provenance).items()
    }


def initialisations(provenance):
    """For each trained model the one of the study that is its architecture before training."""
    return before_training(read_provenance(provenance), of_source(STUDY.models.values(), "init"))


def beside_initialisation(**settings):
    """Settings of a figure that has a trained model beside its architecture at initialisation."""
    return lambda wildcards, input: {
        "initialisations": initialisations(input.provenance),
        **INITIALISED,
        **settings,
    }


def bounds(*keys):
    """Those of the claims' bounds that a figure draws as lines."""
    return {key: ANALYSIS["claims"][key] for key in keys}


def with_runs(table):
    """A table of what models did with the text, and that of how each was run."""
    return {name: paths.study_table(STUDY.study, name) for name in (table, "runs")}


def experiment_figure(wildcards):
    """What the figure of an experiment draws as what."""
    described = STUDY.experiments[wildcards.experiment]
    keys = ("title", "quantity", "comparison", "control", "cells")
    return {"experiment": wildcards.experiment, **{key: described[key] for key in keys}}


def metrics_of_series(wildcards):
    """The folder of the training that a series is of; none where it was not trained here."""
    return paths.TRAINED.format(run=wildcards.series) if wildcards.series in RUNS else []


def training_run(wildcards, input):
    """How the figure of a training run is called, its checkpoints by revision, and its floors."""
    series = wildcards.series
    revisions = {name.removeprefix(f"{series}."): name for name in STUDY.series[series]}
    folder = metrics_of_series(wildcards)
    if folder:
        # Names the input where it is not there yet: Snakemake asks again once it is.
        Path(folder).stat()
    ended = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8")) if folder else {}
    return {
        "checkpoints": revisions,
        "title": series,
        "floors": ended.get("validation_floors"),
    }


def files_of_figures(suffix):
    """The files of one kind of every figure: one, or one for each model or series."""
    return [
        path
        for name, figure in FIGURES.items()
        for path in expand(
            paths.figure(STUDY.study, figure.stem(name), suffix),
            model=ALONE,
            series=STUDY.series,
            experiment=figure.experiments or list(STUDY.experiments),
        )
    ]


def log_of_figure(name, figure):
    if figure.per == "study":
        return paths.log(f"draw_{name}", STUDY.study)
    return paths.log(f"draw_{name}.{STUDY.study}", f"{{{figure.per}}}")


def report_figure(name, figure):
    """Outputs of a figure: the SVG that the report shows with its caption, and a PNG."""
    shown = "the study's" if figure.per == "study" else f"{{{figure.per}}}"
    return {
        "svg": report(
            paths.figure(STUDY.study, figure.stem(name), "svg"),
            caption=f"../report/{name}.rst",
            category=figure.category,
            labels={"figure": figure.title, "models": shown},
        ),
        "png": paths.figure(STUDY.study, figure.stem(name), "png"),
    }
