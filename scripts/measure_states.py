"""A model reads a text, and everything that is measured of its states is."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from time import perf_counter
from traceback import print_exc
from typing import TYPE_CHECKING, Any

import torch
from scipy.sparse.linalg import ArpackError
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from headalgebra import columns
from headalgebra.checkpoints import CheckpointError, RunnableModel, load_model, load_tokenizer
from headalgebra.devices import compute_device
from headalgebra.geometry.moments import TOKENS_PER_DIMENSION
from headalgebra.measurement.axes import measure_axes
from headalgebra.measurement.blocks import measure_blocks
from headalgebra.measurement.convolution import measure_convolution
from headalgebra.measurement.drift import DriftError, measure_drift
from headalgebra.measurement.geometry import measure_geometry
from headalgebra.measurement.orders import depth_orders, expand_orders
from headalgebra.measurement.resummation import resum_depth
from headalgebra.measurement.states import guard_rows, measure_states, refused_row, run_row
from headalgebra.states import Guard, GuardError, Recording, record
from headalgebra.text import Corpus, TextError, Tokens, tokenise
from layers import origin
from sources import open_source
from stage import aside, job, progress, scratch, tell, write_table

if TYPE_CHECKING:
    snakemake: Any

PARTS = {
    "states": columns.STATES,
    "dyson": columns.DYSON,
    "resummation": columns.RESUMMATION,
    "block_normality": columns.NORMALITY,
    "convolution": columns.CONVOLUTION,
    "geometry": columns.GEOMETRY,
    "axes": columns.AXES,
    "drift": columns.DRIFT,
}

Read = Callable[[int], Tokens]
"""So many sequences of the text."""


def open_reader(described: Mapping[str, Any], device: torch.device) -> tuple[RunnableModel, Read]:
    """The model where it is to run, and what gives it the text to read."""
    params = snakemake.params
    checkpoint = open_source(params.source, params.weights_seed)
    running = load_model(checkpoint, params.settings["states.dtype"], device)
    text = Path(snakemake.input.text).read_text(encoding="utf-8")
    tokenizer = load_tokenizer(open_source(params.tokenizer, params.weights_seed))

    def read(sequences: int) -> Tokens:
        return tokenise(
            Corpus(described["name"], text, described["origins"]),
            tokenizer,
            vocabulary=running.vocabulary,
            positions=running.positions,
            sequences=sequences,
            tokens=params.tokens,
            seed=params.settings["seed"],
        )

    return running, read


def tokens_for_norms(recording: Recording, read: Read) -> torch.Tensor | None:
    """Enough tokens for the eigenvalues of normalised states; None to take the recorded ones."""
    needed = TOKENS_PER_DIMENSION * recording.state(0, slice(0, 1)).shape[-1]
    recorded, at_most = recording.tokens.numel(), snakemake.params.settings["states.norm_tokens"]
    if not recorded < needed <= at_most:
        return None
    try:
        return read(-(-needed // recording.tokens.shape[1])).ids.to(recording.tokens)
    except TextError as short:
        print(f"no eigenvalues of normalised states: {short}")
        return None


def measure(recording: Recording, read: Read) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """The tables of a recorded pass, and what is missing of them; the log says what each took."""
    settings = {
        key.removeprefix("states."): value for key, value in snakemake.params.settings.items()
    }
    seed = settings["seed"]

    @cache
    def orders() -> list[torch.Tensor]:
        return depth_orders(recording, settings["order_sequences"])

    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "states": lambda: measure_states(recording, seed=seed),
        "dyson": lambda: expand_orders(
            recording,
            orders(),
            certified_sequences=settings["certified_sequences"],
            grades=settings["hopf_grades"],
        ),
        "resummation": lambda: resum_depth(
            recording,
            orders(),
            tokens=settings["resummed_tokens"],
            terms=settings["resummed_terms"],
        ),
        "block_normality": lambda: measure_blocks(
            recording, layers=settings["block_layers"], tokens=settings["block_tokens"], seed=seed
        ),
        "convolution": lambda: measure_convolution(
            recording,
            pattern_sequences=settings["pattern_sequences"],
            gradient_sequences=settings["gradient_sequences"],
            seed=seed,
        ),
        "geometry": lambda: measure_geometry(
            recording,
            tokens=tokens_for_norms(recording, read),
            ablated_layers=settings["ablated_layers"],
            ablated_tokens=settings["ablated_tokens"],
            seed=seed,
        ),
        "axes": lambda: measure_axes(
            recording,
            tokens=settings["permuted_tokens"],
            permutations=settings["axis_permutations"],
            seed=seed,
        ),
        "drift": lambda: measure_drift(recording, sequences=settings["drift_sequences"]),
    }
    tables: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
    notes = []
    for part in progress([*parts], "table"):
        start = perf_counter()
        try:
            tables[part] = parts[part]()
        except DriftError as none:
            print(f"no drift: {none}")
        except (GuardError, ArpackError, LinAlgError) as failure:
            # What the others found stays.
            print_exc(file=sys.stdout)
            notes.append(f"no {part}: {failure}")
            tell(notes[-1])
        print(f"{part}: {len(tables[part])} rows, {perf_counter() - start:.1f} s")
    return tables, "; ".join(notes)


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    device = compute_device(snakemake.params.settings["device"])
    guards: tuple[Guard, ...] = ()
    tables: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    described = json.loads(Path(snakemake.input.described).read_text(encoding="utf-8"))
    provenance: dict[str, Any] = {"text": described}
    # States are as large as the model; they stay on this disk no longer than they are used.
    with scratch(Path(snakemake.output.runs).parent / ".states") as folder:
        try:
            running, read_sequences = open_reader(described, device)
            read = read_sequences(snakemake.params.sequences)
            start = perf_counter()
            recording = record(
                running.model,
                read.ids.to(device),
                folder,
                per_pass=snakemake.params.settings["states.pass_sequences"],
            )
            print(f"{recording.n_blocks} blocks recorded, {perf_counter() - start:.1f} s")
        except (CheckpointError, TextError) as refused:
            run = refused_row(str(refused))
            tell(f"not run: {refused}")
        except GuardError as refused:
            run, guards = refused_row(str(refused)), (refused.failed,)
            tell(f"not run: {refused}")
        else:
            guards = recording.guards
            for guard in guards:
                print(f"guard {guard.guard}: {guard.value:.2g}, at most {guard.tolerance:.2g}")
            run = run_row(recording, text=snakemake.params.text, text_sha256=read.text)
            tables, run["note"] = measure(recording, read_sequences)
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
