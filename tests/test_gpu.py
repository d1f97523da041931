"""Dense extraction on a GPU agrees with the CPU to rounding."""

import numpy as np
import pytest
import torch

from headalgebra.devices import compute_device
from headalgebra.linf import (
    UNIT_ROUNDOFF,
    ProbedWords,
    all_triples,
    census,
    extract_dense,
    jacobiator_norms_by_precision,
    literal_triple,
    sphere_probes,
)
from headalgebra.operators import HeadOperators

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


def unit_operators(n: int, d: int) -> torch.Tensor:
    draw = torch.from_numpy(np.random.default_rng(0).standard_normal((n, d, d)))
    return draw / torch.linalg.matrix_norm(draw)[:, None, None]


def test_auto_is_a_device_that_torch_sees() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert compute_device("auto").type == expected
    assert compute_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU asked for")
def test_a_gpu_that_is_not_there_is_refused_with_the_mend() -> None:
    with pytest.raises(RuntimeError, match="device: auto"):
        compute_device("cuda")


@pytest.mark.gpu
@needs_cuda
def test_dense_extraction_agrees_with_the_cpu() -> None:
    elements = unit_operators(5, 96)
    here, there = extract_dense(elements), extract_dense(elements.cuda())
    # Three products deep: a few d·u of relative error on either side.
    assert there.obstruction_rms == pytest.approx(here.obstruction_rms, rel=20 * 96 * 2**-53)
    assert there.coherence_residual < 20 * 96 * 2**-53
    assert there.n_triples == here.n_triples


@pytest.mark.gpu
@needs_cuda
def test_sampled_extraction_agrees_with_the_cpu() -> None:
    generator = torch.Generator().manual_seed(1)
    queries, keys = (
        torch.randn(4, 64, 16, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    operators = HeadOperators.from_factors(queries, keys)
    coefficients = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    probes = sphere_probes(64, 16, np.random.SeedSequence(2))
    values = []
    for device in ("cpu", "cuda"):
        on_device = (coefficients.to(device), probes.to(device))
        words = ProbedWords(operators.to(torch.device(device)), *on_device)
        values.append(all_triples(census(words)).value)
    assert values[1] == pytest.approx(values[0], rel=100 * 64 * 2**-53)


@pytest.mark.gpu
@needs_cuda
def test_the_literal_jacobiator_is_rounding_on_the_gpu_too() -> None:
    compute_device("cuda")
    a, b, c = unit_operators(3, 128).cuda()
    triple = literal_triple(a, b, c)
    assert 0 < triple.jacobiator < triple.bound
    assert triple.jacobiator / triple.noise < 20
    norms = jacobiator_norms_by_precision(a, b, c)
    for wide, narrow in ((torch.float64, torch.float32), (torch.float32, torch.bfloat16)):
        ratio = norms[narrow] / norms[wide]
        assert 0.05 < ratio / (UNIT_ROUNDOFF[narrow] / UNIT_ROUNDOFF[wide]) < 5
