import json
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

import damage
import demand
import demand_states
import demand_training
import locks
import paths
import scheduling
from addresses import addressed, plain
from captions import caption, provenance_lines, quantisations, read_provenance
from code_inputs import files_behind, modules_behind, script_file
from content import content_of, files_read
from availability import refuse_absent
from configuration import OF_JOBS, UNLIKE_WEIGHTS, ConfigurationError, compose
from figures import Figure, before_training, forget_if_incomplete, gpt2_medium, of_source
from sizes import in_one_job
from spans import spans_of
from stages import Stage, tables
from trainings import arms_of, corpora_of, corpus_name, run_name, runs_of, text_name, texts_of
from typed import as_typed

if set("{}") & set(str(paths.ROOT)):
    sys.exit(f"{paths.ROOT}: Snakemake takes a brace in a path for a wildcard; move the repository")

try:
    STUDY = compose(as_typed(config, workflow.config_settings.config_args), paths.ROOT / "config")
    if workflow.is_main_process:
        refuse_absent(STUDY)
except ConfigurationError as error:
    sys.exit(str(error))

# Whether jobs run is settled after this file was read.
dry_run = not {"-n", "-np", "--dry-run", "--dryrun"}.isdisjoint(sys.argv)
if workflow.is_main_process and not dry_run:
    if refusal := locks.unwritable([locks.STATE, Path(paths.RESULTS)]):
        sys.exit(refusal)
if workflow.is_main_process and (advice := locks.advice()):
    print(advice, file=sys.stderr)
elif workflow.is_main_process:
    for said in damage.delete_damaged_results(dry_run=dry_run):
        print(said, file=sys.stderr)
if workflow.is_main_process:
    scheduling.look_again_once()
    # Where the results are: the terminal says it at the end.
    logger.info(
        f"Study {STUDY.study}: {STUDY.title}",
        extra={
            "results": (
                paths.page(STUDY.study, "index"),
                paths.study_table(STUDY.study, "claims"),
            )
        },
    )

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
# Of these one job does all stages.
SMALL = [name for name, model in STUDY.models.items() if in_one_job(model)]
LARGE = [name for name in STUDY.models if name not in SMALL]
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
# By their tables, the keys of the analysis that constructed layers depend on.
OF_CONSTRUCTED = ("balance_above", "gram_floor", "probes", "rank_cutoff", "seed")
CONSTRUCTED = {
    "conditioning": {
        "message": "layers of known condition number",
        "keys": (*OF_CONSTRUCTED, "conditioning"),
        "mem_mb": 2000,
    },
    "feasibility": {
        "message": "time and memory by size",
        "keys": OF_CONSTRUCTED,
        "mem_mb": 4000,
    },
}
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
# What decides the text that models read.
TEXT_SOURCE = {key: STUDY.text[key] for key in ("corpus", "packages", "path")}
TEXT_CONTENT = content_of(
    [str(Path(STUDY.text["path"]).expanduser())] if STUDY.text["path"] else []
)
TEXT = text_name(TEXT_SOURCE)
# What of the configuration a model that reads the text depends on, beside its own file.
READING = {
    "text": STUDY.text_name,
    "sequences": STUDY.text["sequences"],
    "tokens": STUDY.text["tokens"],
}
INITIALISED = {"initialised": of_source(STUDY.models.values(), "init")}
# Of a training run there are many checkpoints: one figure for all of them.
ALONE = [m for m in STUDY.models if not any(m in series for series in STUDY.series.values())]
# What there is to read before anything is trained.
STORED = [name for name, model in STUDY.models.items() if model["train"] is None]
SPLIT_MODELS = sorted({span.model for span in SPANS.values() if span.layers})
# Keys of the analysis that what a model does with the text depends on.
OF_STATES = ("device", "seed", *(f"states.{key}" for key in ANALYSIS["states"]))


def one_of(names):
    """A pattern of exactly these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


def with_digests(names):
    """A pattern of these names, each with a digest or none."""
    return f"(?:{one_of(names)})(?:@[0-9a-f]+)?"


wildcard_constraints:
    model=with_digests(STUDY.models),
    # The layers of a split model by spans, those of another as a whole.
    span=with_digests([name for name in LARGE if name not in SPLIT_MODELS])
    + f"|{with_digests(SPLIT_MODELS)}/layers/[0-9]+-[0-9]+",


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
