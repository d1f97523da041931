"""Checkpoints in GGUF files: rows in their own order, numbers as the types have them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants
from gguf_files import CONVERTED, write_gguf
from tiny_models import BLUEPRINTS
from torch import Tensor

from headalgebra.checkpoints import Checkpoint, CheckpointError, open_checkpoint, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

FOUR = {"num_attention_heads": 4, "n_head": 4, "num_heads": 4}
WIDE = FOUR | {"hidden_size": 64, "n_embd": 64, "d_model": 64, "head_dim": 32, "d_kv": 32}
"""Rows that have room for blocks; heads whose widths add up to more than d, where they may."""
SHARED = WIDE | {"head_dim": 16, "d_kv": 16}
"""Heads that share d, which transformers takes for granted."""
SINGLE = 2.0**-24


@pytest.fixture(params=CONVERTED)
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def written(shared_model: Callable, tmp_path: Path) -> Callable:
    """A tiny model of an architecture, and the same as a GGUF file."""

    def write(
        architecture: str, quantisation: str = "F32", *, sizes: Mapping[str, int] = {}, **options
    ):
        converted = CONVERTED[architecture]
        known = BLUEPRINTS[converted.family].settings
        settings = {key: value for key, value in sizes.items() if key in known}
        model = shared_model(
            converted.family, head=True, dtype=torch.float32, **settings | converted.settings
        )
        return model, write_gguf(tmp_path / "x.gguf", architecture, model, quantisation, **options)

    return write


def rounding(architecture: str) -> float:
    """Of the two gammas in a factor at the most, where files have 1 + γ and not γ itself."""
    return 2.01 * SINGLE if "norm" in CONVERTED[architecture].changes else 0.0


def assert_equal_layers(found: Checkpoint, expected: Checkpoint, tolerance: float = 0.0) -> None:
    assert found.n_layers == expected.n_layers
    for layer in range(found.n_layers):
        ours, theirs = found.read_layer(layer), expected.read_layer(layer)
        assert torch.equal(ours.key_of_head, theirs.key_of_head)
        for name in ("queries", "keys"):
            one, other = getattr(ours, name), getattr(theirs, name)
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=tolerance, atol=0)


def test_rows_are_those_of_the_model(written: Callable, architecture: str) -> None:
    """In both circuits, bit for bit, but for 1 + γ."""
    model, (path,) = written(architecture)
    for convention in (PAPER, Convention(circuit="ov")):
        found = open_checkpoint(path, convention=convention)
        expected = open_folder(model.folder, convention=convention)
        assert_equal_layers(found, expected, rounding(architecture))
    assert found.quantisation(0) == "F32"


NOT_TOLD = {"gemma2": {"scale"}, "gemma3": {"scale", "rope_offset"}, "modern-bert": {"rope_offset"}}


@pytest.mark.parametrize("option", ["scale", "fold_norm", "rope_offset"])
def test_options_of_the_convention_mean_the_same(
    written: Callable, architecture: str, option: str
) -> None:
    """But for what such a file does not tell, which is refused."""
    model, (path,) = written(architecture)
    convention = replace(PAPER, **{option: 3 if option == "rope_offset" else True})
    try:
        expected = open_folder(model.folder, convention=convention)
    except CheckpointError as refused:
        with pytest.raises(CheckpointError, match=option):
            open_checkpoint(path, convention=convention)
        assert option in str(refused)
        return
    if option in NOT_TOLD.get(architecture, ()):
        with pytest.raises(CheckpointError, match=f"{option} has no meaning.*GGUF file does not"):
            open_checkpoint(path, convention=convention)
        return
    found = open_checkpoint(path, convention=convention)
    # A scale that the file gives is a float32.
    tolerance = SINGLE if (architecture, option) == ("granite", "scale") else rounding(architecture)
    assert_equal_layers(found, expected, tolerance)


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 9.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def test_a_table_of_factors_slows_the_rotation(shared_model: Callable, tmp_path: Path) -> None:
    """As llama.cpp's converter writes it for Llama 3; a part of it, or a false one, is refused."""
    model = shared_model("llama", dtype=torch.float32, rope_parameters=LLAMA3)
    turned = Convention(rope_offset=3)
    lengths = 2 * math.pi * 9.0 ** (torch.arange(3) / 3)
    share = ((16 / lengths - 1) / (4 - 1)).clamp(0, 1)
    factors = (1 / ((1 - share) / 8 + share)).numpy()

    def write(table: np.ndarray | None) -> Path:
        def edit(tensors: dict[str, np.ndarray]) -> None:
            tensors.update({} if table is None else {"rope_freqs.weight": table})

        return write_gguf(tmp_path / "x.gguf", "llama", model, edit=edit)[0]

    expected = open_folder(model.folder, convention=turned)
    with_table = open_checkpoint(write(factors), convention=turned)
    revision = with_table.revision
    for layer in range(expected.n_layers):
        found, wanted = with_table.read_layer(layer), expected.read_layer(layer)
        torch.testing.assert_close(found.queries, wanted.queries, rtol=0, atol=64 * SINGLE)
        assert torch.equal(found.keys, wanted.keys)
    assert open_checkpoint(write(2 * factors), convention=turned).revision != revision
    without = open_checkpoint(write(None), convention=turned).read_layer(0)
    assert not torch.allclose(without.queries, expected.read_layer(0).queries, rtol=0.1)
    for table, complaint in ((factors[:2], "has shape"), (-factors, "has factors that are not")):
        with pytest.raises(CheckpointError, match=f"rope_freqs.weight {complaint}"):
            open_checkpoint(write(table), convention=turned)
    plain = open_checkpoint(write(-factors))  # which nobody asks for
    assert_equal_layers(plain, open_folder(model.folder))


# Against transformers, and against what was quantised


@pytest.mark.parametrize("architecture", [name for name in CONVERTED if CONVERTED[name].loads])
def test_transformers_loads_the_same_rows(written: Callable, architecture: str) -> None:
    """By its own reading of the file, at 8 bits."""
    import transformers

    model, (path,) = written(architecture, "Q8_0", sizes=SHARED)
    loader = getattr(transformers, model.blueprint.head)
    loaded = loader.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    # The configuration says how the file was; the weights are numbers again.
    assert loaded.config.quantization_config.quant_method == "gguf"
    if architecture in ("falcon", "t5"):
        del loaded.config.num_key_value_heads  # which these do not have
    found = open_checkpoint(path)
    assert found.quantisation(0) == "Q8_0"
    # It takes the 1 off again, in float32, where gammas are about 1.
    tolerance = rounding(architecture) and 8 * SINGLE
    assert_equal_layers(found, open_checkpoint(loaded), tolerance)


def steps(rows: Tensor, quantisation: str) -> Tensor:
    """The most by which rounding to a type moves each entry, by its block of 32.

    Half a step of the block's scale, which is itself rounded to 11 bits; the end that Q4_0 cuts off
    is moved by a whole step.
    """
    blocks = rows.double().unflatten(1, (-1, 32))
    largest, spread = blocks.abs().amax(2), blocks.amax(2) - blocks.amin(2)
    step = {"Q8_0": largest / 127 / 2, "Q4_1": spread / 15 / 2, "Q4_0": largest / 8}[quantisation]
    moved = step + 2.0**-11 * 2 * largest
    return moved.repeat_interleave(32, dim=1)


@pytest.mark.parametrize("quantisation", ["Q8_0", "Q4_1", "Q4_0"])
def test_rows_are_those_of_the_model_rounded(
    written: Callable, architecture: str, quantisation: str
) -> None:
    """Row by row what the library makes of the original, whatever the order of rows."""
    model, (path,) = written(architecture, quantisation, sizes=WIDE)
    found, original = open_checkpoint(path), open_folder(model.folder)
    kind = GGMLQuantizationType[quantisation]
    exact = not BLUEPRINTS[CONVERTED[architecture].family].gammas
    for layer in range(found.n_layers):
        ours, theirs = found.read_layer(layer), original.read_layer(layer)
        assert found.quantisation(layer) == quantisation
        for name in ("queries", "keys"):
            rows = getattr(ours, name).mT.flatten(0, 1)
            expected = getattr(theirs, name).mT.flatten(0, 1)
            if not exact:  # rows were multiplied by gammas after they were rounded
                assert not torch.equal(rows, expected)
                continue
            assert bool(((rows - expected).abs() <= steps(expected, quantisation)).all())
            rounded = quants.dequantize(quants.quantize(expected.numpy(), kind), kind)
            assert torch.equal(rows, torch.from_numpy(rounded))
