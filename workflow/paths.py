"""Where every result lies. `{span}` is the part of a model that one job works on (spans.py)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RESULTS = "results"
MODEL = f"{RESULTS}/models/{{model}}"
SPAN = f"{RESULTS}/models/{{span}}"

CONFIGURATION = f"{MODEL}/config.yaml"
FACTORS = f"{MODEL}/factors"
PROVENANCE = f"{MODEL}/provenance.json"
FETCHED = f"{MODEL}/fetched.json"
"""That all files are here which a model of the hub needs to read a text."""
READ_TEXT = f"{MODEL}/read_text.json"
"""What a model has read, and by which tokenizer."""
TEXT = f"{RESULTS}/texts/{{text}}.txt"
TEXT_DESCRIBED = f"{RESULTS}/texts/{{text}}.json"
TRAINING_TOKENS = f"{RESULTS}/corpora/{{corpus}}"
"""What decoders are trained on: a tokenizer, and the sequences of each part."""
TRAINED = f"{RESULTS}/trained/{{run}}"
"""A training that has ended: a folder for each checkpoint, and what was measured of its steps."""
UNDER_WAY = f"{RESULTS}/trained/.under_way"
"""Trainings that have not: each goes on where it was when it is called again."""
RUN_VALUES = f"{RESULTS}/runs/{{run}}/{{measure}}.parquet"
"""What one measure gives of a training."""
BASIS_COEFFICIENTS = f"{SPAN}/basis_coefficients.safetensors"


def span_table(table: str) -> str:
    """One table of the layers of one job; for a model that is not split, the model's table."""
    return f"{SPAN}/{table}.parquet"


def model_table(table: str) -> str:
    """One table of all layers of a model."""
    return f"{MODEL}/{table}.parquet"


def study_table(study: str, table: str) -> str:
    """One table of a study."""
    return f"{RESULTS}/{study}/tables/{table}.csv"


def study_configuration(study: str) -> str:
    """What a study was computed with."""
    return f"{RESULTS}/{study}/config.yaml"


def constructed_table(rule: str, folder: str) -> str:
    """The table of a rule that measures constructed layers, which no study has a part in."""
    return f"{RESULTS}/{folder}/{rule.removeprefix('measure_')}.csv"


def outlines(study: str) -> str:
    """What the models of a study are and would fetch, before their weights are there."""
    return f"{RESULTS}/{study}/outlines.json"


def figures(study: str) -> str:
    """The folder of the figures of a study, each as svg and as png."""
    return f"{RESULTS}/{study}/figures"


def listing(study: str) -> str:
    """Which figures were drawn, what each shows, and why others were left out."""
    return f"{RESULTS}/{study}/figures.json"


def page(study: str, name: str) -> str:
    """One page of a study, which needs no other file."""
    return f"{RESULTS}/{study}/{name}.html"


LOGS = f"{RESULTS}/logs"


def log(rule: str, wildcard: str = "") -> str:
    """Log of a rule's job."""
    return f"{LOGS}/{wildcard and wildcard + '/'}{rule}.log"


def benchmark(rule: str, wildcard: str = "") -> str:
    """Wall time and memory of a rule's job."""
    return f"{RESULTS}/benchmarks/{wildcard and wildcard + '/'}{rule}.tsv"
