"""The file of a layer's factors: what is written is read back, what is unsound is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, LayerFactors, load_factors, save_factors

DTYPES = ["float64", "float32", "float16", "bfloat16"]


@pytest.fixture
def factors() -> LayerFactors:
    """Six query heads that share two keys, in float64."""
    generator = torch.Generator().manual_seed(3)
    queries = torch.randn(6, 5, 4, generator=generator, dtype=torch.float64)
    keys = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    return LayerFactors(queries, keys, torch.arange(6) // 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_written_factors_are_read_back(tmp_path: Path, factors: LayerFactors, dtype: str) -> None:
    """To the bit, also when they are views in another memory order."""
    factors = factors.astype(dtype)
    turned = LayerFactors(factors.queries.mT.contiguous().mT, factors.keys, factors.key_of_head)
    for written in (factors, turned):
        save_factors(tmp_path / "layer.safetensors", written, {"model": "none", "layer": "0"})
        read = load_factors(tmp_path / "layer.safetensors")
        for name, tensor in vars(factors).items():
            assert torch.equal(getattr(read, name), tensor)
            assert getattr(read, name).dtype == tensor.dtype


def test_equal_factors_give_equal_bytes(tmp_path: Path, factors: LayerFactors) -> None:
    """Whatever the order in which the metadata are given; another layer gives other bytes."""
    metadata = {str(number): "x" for number in range(20)}
    backwards = dict(reversed(metadata.items()))
    other = LayerFactors(factors.queries, 2 * factors.keys, factors.key_of_head)
    for name, layer, notes in (
        ("a", factors, metadata),
        ("b", factors, backwards),
        ("c", other, metadata),
    ):
        save_factors(tmp_path / name, layer, notes)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert '"19": "x"' in file.metadata()["provenance"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype_rounds_to_nearest(factors: LayerFactors, dtype: str) -> None:
    """The relative error is at most the unit roundoff, and the keys' owners stay."""
    unit = {"float64": 0.0, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    rounded = factors.astype(dtype)
    for before, after in ((factors.queries, rounded.queries), (factors.keys, rounded.keys)):
        assert str(after.dtype) == f"torch.{dtype}"
        assert ((after.double() - before).abs() <= unit * before.abs()).all()
    assert torch.equal(rounded.key_of_head, factors.key_of_head)


def test_astype_refuses_overflow_and_unknown_types(factors: LayerFactors) -> None:
    """An infinity is never made in silence."""
    large = LayerFactors(factors.queries, 1e6 * factors.keys, factors.key_of_head)
    large.astype("bfloat16")
    with pytest.raises(CheckpointError, match="overflow float16"):
        large.astype("float16")
    with pytest.raises(CheckpointError, match="'int8' is unknown; use float64, float32"):
        factors.astype("int8")


Edit = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda t: t.pop("keys"), "expected queries, keys and key_of_head"),
        (lambda t: t.update(values=t["keys"].clone()), "expected queries, keys"),
        (lambda t: t.update(keys=t["keys"][0]), r"keys has shape \[5, 4\]"),
        (lambda t: t.update(keys=t["keys"][:0]), r"keys has shape \[0, 5, 4\]"),
        (lambda t: t.update(keys=t["keys"].long()), "keys is torch.int64"),
        (lambda t: t.update(keys=t["keys"][:, :4]), "d, r or dtype differ"),
        (lambda t: t.update(keys=t["keys"][..., :3]), "d, r or dtype differ"),
        (lambda t: t.update(keys=t["keys"].float()), "d, r or dtype differ"),
        (lambda t: t["keys"][0, 0, 0].fill_(float("nan")), "keys holds infinities or NaNs"),
        (lambda t: t["queries"][0, 0, 0].fill_(float("inf")), "queries holds infinities"),
        (lambda t: t.update(key_of_head=t["key_of_head"][:5]), r"expected \[6\] torch.int64"),
        (lambda t: t.update(key_of_head=t["key_of_head"].int()), "key_of_head is .*int32"),
        (lambda t: t["key_of_head"][5].fill_(2), r"key_of_head leaves the range 0\.\.1"),
        (lambda t: t["key_of_head"][0].fill_(-1), "key_of_head leaves the range"),
    ],
)
def test_unsound_files_are_refused(
    tmp_path: Path, factors: LayerFactors, edit: Edit, complaint: str
) -> None:
    """The error names the file and what is wrong in it."""
    tensors = dict(vars(factors))
    path = tmp_path / "layer.safetensors"
    save_file(tensors, path)
    load_factors(path)
    edit(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    with pytest.raises(CheckpointError, match=complaint) as refusal:
        load_factors(path)
    assert str(refusal.value).startswith(str(path)) and "\n" not in str(refusal.value)


def test_files_that_are_no_safetensors_are_refused(tmp_path: Path, factors: LayerFactors) -> None:
    """Missing, empty, or cut short."""
    path = tmp_path / "layer.safetensors"
    with pytest.raises(CheckpointError, match=r"layer\.safetensors"):
        load_factors(path)
    save_factors(path, factors, {})
    for content in (b"", path.read_bytes()[:-1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"layer\.safetensors"):
            load_factors(path)


def test_unsound_factors_are_not_written(tmp_path: Path, factors: LayerFactors) -> None:
    """No file is left behind."""
    factors.keys[0, 0, 0] = torch.inf
    with pytest.raises(CheckpointError, match="keys holds infinities"):
        save_factors(tmp_path / "layer.safetensors", factors, {})
    assert not list(tmp_path.iterdir())
