"""Dense extraction on a GPU agrees with the CPU to rounding."""

import numpy as np
import pytest
import torch

from headalgebra.algebra.coherence import dense_structure_constants
from headalgebra.algebra.linf import (
    all_triples,
    census,
    dense,
    extract_dense,
    jacobiator_norms_by_precision,
    literal_triple,
    probed_words,
    sphere_probes,
    triple_squares,
    uniform_tuples,
    weighted_triples,
)
from headalgebra.algebra.linf.dense import dense_bytes
from headalgebra.algebra.operators import HeadOperators
from headalgebra.devices import compute_device
from headalgebra.measurement.linf_sampled import extract_linf_sampled
from headalgebra.rounding import UNIT_ROUNDOFF
from heads import blocks_of, gaussian_heads

DTYPES = [torch.float64, torch.float32]
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
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("brackets", [1, 10])
def test_dense_extraction_agrees_with_the_cpu(dtype, brackets, monkeypatch) -> None:
    """With every bracket held, and with some recomputed in small chunks."""
    elements = unit_operators(5, 96)
    here = extract_dense(elements)
    monkeypatch.setattr(dense, "BRACKET_NUMBERS", brackets * 96**2)
    monkeypatch.setattr(dense, "CHUNK_NUMBERS", 2 * 96**2)
    there = extract_dense(elements.to("cuda", dtype))
    # Three products deep: a few d·u of relative error on either side.
    tolerance = 20 * 96 * UNIT_ROUNDOFF[dtype]
    assert there.obstruction_rms == pytest.approx(here.obstruction_rms, rel=tolerance)
    assert 0 < there.coherence_residual < tolerance
    assert there.n_triples == here.n_triples
    changed = extract_dense(1.001 * elements.to("cuda", dtype)).obstruction_rms
    assert changed != pytest.approx(here.obstruction_rms, rel=tolerance)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_extraction_holds_the_bytes_predicted(dtype) -> None:
    n, d = 8, 1024
    elements = unit_operators(n, d).to("cuda", dtype)
    extract_dense(elements[:3])  # the library's own workspace
    before = torch.cuda.memory_allocated() - elements.nbytes
    torch.cuda.reset_peak_memory_stats()
    extract_dense(elements)
    growth = torch.cuda.max_memory_allocated() - before
    assert 0.9 < growth / dense_bytes(n, d, dtype) < 1.05


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", DTYPES)
def test_sampled_extraction_agrees_with_the_cpu(dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    queries, keys = (
        torch.randn(4, 64, 16, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    coefficients = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    values = []
    for device, precision in (("cpu", torch.float64), ("cuda", dtype)):
        operators = HeadOperators.from_factors(queries, keys, dtype=precision)
        probes = sphere_probes(64, 16, np.random.SeedSequence(2), precision).to(device)
        words = probed_words(
            operators.to(torch.device(device)), coefficients.to(device, precision), probes
        )
        squared, seed = census(words), np.random.SeedSequence(3)
        estimates = (
            all_triples(squared),
            uniform_tuples(squared.mean(1), 50, seed),
            weighted_triples([words], 50, seed),
        )
        exact = triple_squares(words.operators, words.coefficients)
        values.append([*(e.value for e in estimates), float(exact.mean().sqrt())])
    assert values[1] == pytest.approx(values[0], rel=100 * 64 * UNIT_ROUNDOFF[dtype])


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", DTYPES)
def test_structure_constants_agree_with_the_cpu(dtype) -> None:
    """Brackets of unit operators: inner products of d² terms."""
    elements = unit_operators(4, 48)
    here = dense_structure_constants(elements)
    there = dense_structure_constants(elements.to("cuda", dtype))
    tolerance = 48**2 * UNIT_ROUNDOFF[dtype]
    torch.testing.assert_close(there.f.cpu().double(), here.f, rtol=0, atol=tolerance)
    assert there.commutator_squared == pytest.approx(here.commutator_squared, rel=tolerance)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_literal_jacobiator_is_rounding_on_the_gpu_too(dtype) -> None:
    compute_device("cuda")
    a, b, c = unit_operators(3, 128).to("cuda", dtype)
    triple = literal_triple(a, b, c)
    assert 0 < triple.jacobiator < triple.bound
    assert triple.jacobiator / triple.noise < 20
    norms = jacobiator_norms_by_precision(a, b, c)
    for wide, narrow in ((torch.float64, torch.float32), (torch.float32, torch.bfloat16)):
        ratio = norms[narrow] / norms[wide]
        assert 0.05 < ratio / (UNIT_ROUNDOFF[narrow] / UNIT_ROUNDOFF[wide]) < 5


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("drawn", [False, True])
def test_sampled_extraction_of_a_layer_agrees_with_the_cpu(drawn) -> None:
    layer = blocks_of(gaussian_heads(7, 6, 48, 8))
    coefficients = torch.diag(1 / layer.operators.norms())
    settings = {"census_max_triples": 1 if drawn else 20_000, "weighted_triples": 200}
    (here, estimates), (there, on_gpu) = (
        extract_linf_sampled(0, layer, coefficients, device=torch.device(device), **settings)
        for device in ("cpu", "cuda")
    )
    # Words in float32 are rounded otherwise; a drawn triple is another one only where a
    # probability is on the edge, which no draw of these is.
    for name in ("obstruction_rms", "obstruction_ci_low", "obstruction_ci_high"):
        assert there[name] == pytest.approx(here[name], rel=1e-4)
    assert [row["dtype"] for row in on_gpu] == [row["dtype"] for row in estimates]
    assert there["jacobi_rms"] == here["jacobi_rms"]


def test_words_are_formed_where_the_heads_are() -> None:
    """On a device without numbers: one tensor of another device would be refused."""
    heads = gaussian_heads(3, 4, 24, 4).to(torch.device("meta"))
    coefficients = torch.empty(3, 4, dtype=torch.float64, device="meta")
    probes = torch.empty(24, 5, dtype=torch.float64, device="meta")
    assert census(probed_words(heads, coefficients, probes)).device.type == "meta"
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        probed_words(heads, coefficients.new_zeros(3, 4, device="cpu"), probes)
