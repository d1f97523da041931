"""Ask of small changes to the algebra and the claims whether a test notices them.

    make mutants                    # every mutant that was not asked before: about a night
    make mutants SAMPLE=300 SEED=1  # so many of them, the same for the same seed

A mutant is a function with one change: an operator, a number, an argument. mutmut makes them in
`mutants/` and asks each of the tests that call its function, the fastest first; what it is told
there is kept, so that a run that was stopped goes on where it was, and a function that was edited
is asked anew. `mutmut show NAME` prints the change; `mutmut run NAME` asks again.

Properties, and what stands outside functions, are not mutated.
"""

import argparse
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

CALLS = Path("mutants/mutmut-stats.json")
"""Which tests call which function, as mutmut found it; for old tests it does not look again."""

STATUSES = ("killed", "survived", "timeout", "suspicious", "segfault", "no tests", "not checked")


def mutmut(*arguments: str) -> None:
    """Run it from the root of the repository, where its settings are."""
    subprocess.run([sys.executable, "-m", "mutmut", *arguments], check=True)


def statuses() -> dict[str, str]:
    """What is known of every mutant, by its name."""
    command = [sys.executable, "-m", "mutmut", "results", "--all", "true"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if line.strip())


def module_of(mutant: str) -> str:
    """The module of a mutant: all before the function's mangled name."""
    return mutant.rpartition(".")[0]


def spread_sample(mutants: Iterable[str], size: int, seed: int) -> list[str]:
    """So many mutants, in turn from every module that has any left, at random within each.

    The order of two mutants depends on them and the seed alone, whatever others there are.
    """
    lot = {mutant: random.Random(f"{seed} {mutant}").random() for mutant in mutants}
    drawn: Counter[str] = Counter()
    turn = {}
    for mutant in sorted(lot, key=lot.__getitem__):
        turn[mutant] = drawn[module_of(mutant)]
        drawn[module_of(mutant)] += 1
    return sorted(turn, key=lambda mutant: (turn[mutant], lot[mutant]))[:size]


def summary(known: Mapping[str, str]) -> str:
    """Counts by module, and the mutants that no test noticed."""
    counts = defaultdict(Counter)
    for mutant, status in known.items():
        counts[module_of(mutant)][status] += 1
    width = max(map(len, counts))
    header = f"{'module':{width}}" + "".join(f"{status:>13}" for status in STATUSES)
    lines = [
        f"{module:{width}}" + "".join(f"{found[status]:13}" for status in STATUSES)
        for module, found in sorted(counts.items())
    ]
    unnoticed = [name for name, status in known.items() if status not in ("killed", "not checked")]
    return "\n".join([header, *lines, "", *(f"{name}: {known[name]}" for name in unnoticed)])


def main() -> None:
    """Run all mutants, or a sample of them, and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="how many mutants; otherwise all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    asked = parser.parse_args()
    CALLS.unlink(missing_ok=True)
    if asked.sample is None:
        mutmut("run")
        print(summary(statuses()))
        return
    if not Path("mutants").exists():
        # Mutants can be listed when a run has made them; that of the smallest module makes all.
        mutmut("run", "headalgebra.algebra.phases.*")
    chosen = spread_sample(statuses(), asked.sample, asked.seed)
    known = statuses()
    left = [mutant for mutant in chosen if known[mutant] == "not checked"]
    if left:
        mutmut("run", *left)
    known = statuses()
    print(summary({mutant: known[mutant] for mutant in chosen}))


if __name__ == "__main__":
    main()
