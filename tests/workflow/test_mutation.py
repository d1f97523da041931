"""A sample of mutants is the same for the same seed, and of every module alike."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from heads import SEEDS
from mutation import module_of, spread_sample, summary

MUTANTS = st.lists(st.integers(0, 12), min_size=1, max_size=6).map(
    lambda sizes: [f"h.m{m}.x_f__mutmut_{k}" for m, size in enumerate(sizes) for k in range(size)]
)


@given(MUTANTS, st.integers(0, 80), SEEDS)
def test_modules_have_equal_shares_until_they_have_no_more(
    mutants: list[str], size: int, seed: int
) -> None:
    chosen = spread_sample(mutants, size, seed)
    assert len(chosen) == len(set(chosen)) == min(size, len(mutants))
    assert set(chosen) <= set(mutants)
    every, taken = Counter(map(module_of, mutants)), Counter(map(module_of, chosen))
    unfinished = [module for module in every if taken[module] < every[module]]
    for module in unfinished:
        assert taken[module] >= max(taken.values(), default=0) - 1


@given(MUTANTS, SEEDS)
def test_a_larger_sample_of_a_seed_goes_on_from_a_smaller(mutants: list[str], seed: int) -> None:
    whole = spread_sample(mutants, len(mutants), seed)
    assert all(spread_sample(mutants[::-1], k, seed) == whole[:k] for k in range(len(whole)))


def test_what_no_test_noticed_is_named() -> None:
    known = {"h.m.x_f__mutmut_1": "killed", "h.m.x_f__mutmut_2": "survived"}
    told = summary(known | {"h.n.x_g__mutmut_1": "timeout", "h.n.x_g__mutmut_2": "not checked"})
    assert told.splitlines()[1].split() == ["h.m", "1", "1", "0", "0", "0", "0", "0"]
    assert told.splitlines()[2].split() == ["h.n", "0", "0", "1", "0", "0", "0", "1"]
    assert told.splitlines()[4:] == ["h.m.x_f__mutmut_2: survived", "h.n.x_g__mutmut_1: timeout"]
