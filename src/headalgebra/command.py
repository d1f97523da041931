"""The command `headalgebra`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from headalgebra.defaults import NULL_DRAWS, PROBES

SHOWN = (
    *("layer", "epsilon", "epsilon_null_ratio", "phase", "kappa", "route", "obstruction_rms"),
    *("closure_isotropy", "closure_isotropy_null", "rho3", "rho3_null", "note"),
)
"""Columns that a terminal has room for."""

SHOWN_OF_STATES = (
    *("layer", "update_ratio_without_first", "norm", "cosine", "stable_rank", "kl_to_last"),
    *("attention_distance", "attention_entropy", "attention_to_first", "induction", "note"),
)
"""The same of a text that is read."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what is wrong is one line, and the exit status 1."""
    parser = argparse.ArgumentParser(prog="headalgebra", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    measure = commands.add_parser("measure", help="measure every layer of one checkpoint")
    measure.add_argument("source", help="a checkpoint's folder, a GGUF file or a model of the hub")
    measure.add_argument("--revision", default="main", help="of a model of the hub")
    measure.add_argument("--layers", type=_layers, help="such as 0-5 or 0,3,11; all by default")
    measure.add_argument(
        "--nulls",
        type=int,
        default=NULL_DRAWS,
        help="random layers of each kind to hold a layer against (%(default)s)",
    )
    measure.add_argument(
        "--probes", type=int, default=PROBES, help="directions of sampled norms (%(default)s)"
    )
    measure.add_argument("--seed", type=int, default=0, help="of every random draw (%(default)s)")
    measure.add_argument(
        "--states",
        metavar="TEXT",
        help="let the model read this file too, or docstrings, and show what its states do",
    )
    measure.add_argument("--csv", type=Path, help="write every column there instead of printing")
    chosen = parser.parse_args(arguments)
    try:
        _measure(chosen)
    except (ValueError, OSError) as error:
        sys.exit(f"headalgebra: {' '.join(str(error).split())}")


def _layers(text: str) -> list[int]:
    """Numbers and ranges of layers, separated by commas."""
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise argparse.ArgumentTypeError(f"'{text}' is no list such as 0-5 or 0,3,11")
        layers += range(int(first), int(last or first) + 1)
    return layers


def _measure(chosen: argparse.Namespace) -> None:
    import headalgebra
    from headalgebra.checkpoints.reading import Reading
    from headalgebra.csv_files import write_csv

    if chosen.csv is not None and not chosen.csv.parent.is_dir():
        raise FileNotFoundError(f"--csv {chosen.csv}: there is no folder {chosen.csv.parent}")
    checkpoint = headalgebra.open(
        chosen.source,
        revision=chosen.revision,
        reading=Reading(layers=chosen.layers and (*chosen.layers,)),
    )
    states = None
    if chosen.states is not None:
        states = headalgebra.read(checkpoint, chosen.states, seed=chosen.seed)
        states = states[states["layer"].isin(chosen.layers or states["layer"])]
    table = headalgebra.measure(
        checkpoint,
        layers=chosen.layers,
        nulls=chosen.nulls,
        probes=chosen.probes,
        seed=chosen.seed,
    )
    if chosen.csv is not None:
        if states is not None:
            table = table.merge(states, on="layer", suffixes=("", "_states"), validate="1:1")
        write_csv(chosen.csv, table)
        return
    for measured, names in ((table, SHOWN), (states, SHOWN_OF_STATES)):
        if measured is not None:
            shown = measured[list(names)].fillna({"note": ""})
            print(shown.to_string(index=False, float_format="{:.4g}".format, na_rep=""))
