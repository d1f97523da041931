"""Orders and their resummation on a GPU agree with the CPU to rounding."""

from itertools import accumulate

import pytest
import torch

from affine_blocks import RandomBlock, stack
from headalgebra.dyson import antipode_residuals, chen_residuals, dyson_orders, order_norms
from headalgebra.dyson.resummation import resum

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def on_gpu(blocks: list[RandomBlock]) -> list[RandomBlock]:
    for block in blocks:
        for name in ("mixing", "weight", "offset"):
            setattr(block, name, getattr(block, name).cuda())
    return blocks


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_orders_and_identities(dtype: torch.dtype, digits: float) -> None:
    blocks, x = stack(6, dtype=dtype)
    expected = dyson_orders(blocks, x)
    found = dyson_orders(on_gpu(blocks), x.cuda())
    for one, other in zip(found, expected, strict=True):
        assert one.is_cuda
        assert torch.linalg.vector_norm(one.cpu() - other) < digits * x.norm()
    norms = order_norms(found, sum(found), first_token=1)
    beside = order_norms(expected, sum(expected), first_token=1)
    torch.testing.assert_close(norms.guide.cpu(), beside.guide, rtol=digits, atol=digits)
    assert norms.converged_at() == beside.converged_at()
    assert antipode_residuals(blocks, found).max() < digits
    assert chen_residuals(blocks, x.cuda(), cuts=[3]).max() < digits


def test_resummation() -> None:
    blocks, x = stack(5, shape=(2, 6, 16))
    sums = torch.stack([*accumulate(dyson_orders(blocks, x))]).flatten(1, 2)
    rows = resum(sums, sums[-1], lengths=[2, 4])
    on_device = resum(sums.cuda(), sums[-1].cuda(), lengths=[2, 4])
    for one, other in zip(on_device, rows, strict=True):
        assert (one.m, one.method, one.broken) == (other.m, other.method, other.broken)
        assert one.median == pytest.approx(other.median, rel=1e-8)
