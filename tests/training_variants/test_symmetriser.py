"""The symmetriser: a LayerNorm at 1/H, one of each block at the identity, learned between."""

import pytest
import torch
from torch import Tensor, nn

from headalgebra.variants.normalisers import ON_ITS_OWN, Symmetriser

D, H = 24, 4
SCALES = (1e-3, 1.0, 30.0)
"""Of states: at the first, ε is ten times the variance."""


def states(scale: float, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(5, 7, D, dtype=torch.float64, generator=generator)
    return (scale * (drawn + 0.3 * torch.linspace(-1, 2, D))).to(dtype)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("dtype", "digits"), [(torch.float64, 1e-14), (torch.float32, 3e-6)])
def test_at_the_uniform_mixing_it_is_a_layer_norm(
    scale: float, dtype: torch.dtype, digits: float
) -> None:
    norm, expected = Symmetriser(D, H, 1e-5).to(dtype), nn.LayerNorm(D, 1e-5).to(dtype)
    for parameter in ("weight", "bias"):
        drawn = torch.randn(D, generator=torch.Generator().manual_seed(1)).to(dtype)
        getattr(norm, parameter).data.copy_(drawn)
        getattr(expected, parameter).data.copy_(drawn)
    x = states(scale, dtype)
    torch.testing.assert_close(norm(x), expected(x), rtol=0, atol=digits)
    norm.mixing_logits.data[0, 0, 1] += 0.01
    assert (norm(x) - expected(x)).abs().max() > 1e-4 * min(scale * 300, 1)


def test_at_the_identity_each_block_is_normalised_by_itself() -> None:
    norm = Symmetriser(D, H, 1e-5).double()
    norm.mixing_logits.data.copy_(100 * torch.eye(H))
    x = states(1.0)
    expected = nn.functional.group_norm(x.flatten(0, 1), H, eps=1e-5).view_as(x)
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-14)


def test_mixings_are_row_stochastic_and_start_where_they_are_said_to() -> None:
    uniform, near = (
        Symmetriser(D, H, 1e-5, mixing).mixing_logits.softmax(-1)
        for mixing in ("uniform", "identity")
    )
    assert torch.equal(uniform, torch.full_like(uniform, 1 / H))
    torch.testing.assert_close(near.sum(-1), torch.ones_like(near[..., 0]))
    torch.testing.assert_close(
        near.diagonal(dim1=1, dim2=2), torch.full_like(near[..., 0], ON_ITS_OWN)
    )
    single = Symmetriser(D, 1, 1e-5, "identity").mixing_logits
    assert single.isfinite().all()


def test_the_uniform_mixing_is_no_trap() -> None:
    """Rows of every round but the first could not be told apart there, were only sums mixed."""
    norm = Symmetriser(D, H, 1e-5).double()
    probe = torch.randn(D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (norm(states(1.0)) * probe).sum().backward()
    gradient = norm.mixing_logits.grad
    assert gradient is not None
    apart = gradient - gradient.mean(1, keepdim=True)
    assert (apart.flatten(1).norm(dim=1) > 1e-3 * gradient.norm()).all()


def test_tokens_are_normalised_one_by_one() -> None:
    norm = Symmetriser(D, H, 1e-5, "identity").double()
    x = states(1.0)
    torch.testing.assert_close(norm(x)[2, 3], norm(x[2, 3]), rtol=0, atol=1e-15)
