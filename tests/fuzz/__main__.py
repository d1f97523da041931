"""Break many files of every kind, and say how many were refused.

    JAXTYPING_DISABLE=1 PYTHONPATH=src:workflow:tests:tests/checkpoints \\
        .venv/bin/python -m fuzz --inputs 100000

Inputs are drawn in batches, each with a seed of its own, so that the same are drawn by each run. An
input that is not harmless ends it: hypothesis looks for a smaller one and prints it.
"""

import argparse
from collections import Counter
from time import process_time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tqdm import tqdm

from fuzz.broken_files import KINDS, Kind

BATCH = 500
"""Inputs of a seed: what is remembered of them, in order to draw others, stays small."""


def attempts(kind: Kind, inputs: int, first_seed: int) -> Counter[bool]:
    """How many of so many broken files were refused."""
    found: Counter[bool] = Counter()

    def attempt(data: st.DataObject) -> None:
        found[bool(kind.attempt(data, place))] += 1

    with kind.whole() as place:
        for first in tqdm(range(0, inputs, BATCH), unit="batch"):
            laws = settings(
                max_examples=min(BATCH, inputs - first),
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )
            seed(first_seed + first // BATCH)(laws(given(data=st.data())(attempt)))()
    return found


def main() -> None:
    """Break files and print a row of a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first batch")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print("| what is broken | inputs | refused in one line | read | s of a core |")
    print("|---|---|---|---|---|")
    for name in options.kinds:
        start = process_time()
        found = attempts(KINDS[name], options.inputs, options.seed)
        counts = f"{found.total():,} | {found[True]:,} | {found[False]:,}"
        print(f"| {name} | {counts} | {process_time() - start:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
