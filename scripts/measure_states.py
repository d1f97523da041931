"""A model reads a text: its states, Dyson orders, resummation, blocks and convolution shares."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from headalgebra import columns
from headalgebra.checkpoints import CheckpointError, RunnableModel, load_model, load_tokenizer
from headalgebra.devices import compute_device
from headalgebra.measurement.blocks import measure_blocks
from headalgebra.measurement.convolution import measure_convolution
from headalgebra.measurement.orders import expand_orders
from headalgebra.measurement.resummation import resum_depth
from headalgebra.measurement.states import guard_rows, measure_states, refused_row, run_row
from headalgebra.states import Guard, GuardError, Recording, record
from headalgebra.text import Corpus, TextError, Tokens, tokenise
from layers import origin
from sources import open_source
from stage import aside, job, write_table

if TYPE_CHECKING:
    snakemake: Any

PARTS = {
    "states": columns.STATES,
    "dyson": columns.DYSON,
    "resummation": columns.RESUMMATION,
    "block_normality": columns.NORMALITY,
    "convolution": columns.CONVOLUTION,
}


def read_text() -> tuple[RunnableModel, Tokens]:
    """The model, and the tokens that it is to read."""
    params = snakemake.params
    checkpoint = open_source(params.source, params.weights_seed)
    running = load_model(checkpoint, params.settings["states.dtype"])
    described = json.loads(Path(snakemake.input.described).read_text(encoding="utf-8"))
    text = Path(snakemake.input.text).read_text(encoding="utf-8")
    return running, tokenise(
        Corpus(described["name"], text, described["origins"]),
        load_tokenizer(open_source(params.tokenizer, params.weights_seed)),
        vocabulary=running.vocabulary,
        positions=running.positions,
        sequences=params.sequences,
        tokens=params.tokens,
        seed=params.settings["seed"],
    )


def measure(recording: Recording) -> dict[str, list[dict[str, Any]]]:
    """The tables of a recorded pass."""
    settings = snakemake.params.settings
    seed = settings["seed"]
    tables = {"states": measure_states(recording, seed=seed)}
    print("states measured", flush=True)
    tables["dyson"] = expand_orders(
        recording,
        sequences=settings["states.order_sequences"],
        certified_sequences=settings["states.certified_sequences"],
        grades=settings["states.hopf_grades"],
    )
    print("orders expanded", flush=True)
    tables["resummation"] = resum_depth(
        recording,
        tokens=settings["states.resummed_tokens"],
        terms=settings["states.resummed_terms"],
    )
    print("depth resummed", flush=True)
    tables["block_normality"] = measure_blocks(
        recording,
        layers=settings["states.block_layers"],
        tokens=settings["states.block_tokens"],
        seed=seed,
    )
    print("blocks measured", flush=True)
    tables["convolution"] = measure_convolution(
        recording, pattern_sequences=settings["states.pattern_sequences"], seed=seed
    )
    return tables


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    device = compute_device(snakemake.params.settings["device"])
    guards: tuple[Guard, ...] = ()
    tables: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    provenance = {"text": json.loads(Path(snakemake.input.described).read_text(encoding="utf-8"))}
    # States are as large as the model; they stay on this disk no longer than they are used.
    beside = Path(snakemake.output.runs).parent
    with TemporaryDirectory(dir=beside, prefix=".states-") as folder:
        try:
            running, read = read_text()
            recording = record(running.model.to(device), read.ids.to(device), Path(folder))
        except (CheckpointError, TextError) as refused:
            run = refused_row(str(refused))
        except GuardError as refused:
            run, guards = refused_row(str(refused)), (refused.failed,)
        else:
            guards = recording.guards
            run = run_row(recording, text=snakemake.params.text, text_sha256=read.text)
            tables = measure(recording)
            provenance |= {
                "tokenizer": read.tokenizer,
                "tokens": read.digest,
                "places": read.places,
                "left_out": running.left_out,
            }
    with aside(snakemake.output.provenance) as partial:
        partial.write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n")
    computed_on = origin(snakemake, device)
    write_table(snakemake.output.guards, guard_rows(guards), columns.GUARDS, computed_on)
    for part, names in PARTS.items():
        write_table(snakemake.output[part], tables[part], names, computed_on)
    write_table(snakemake.output.runs, [run], columns.RUNS, computed_on)
