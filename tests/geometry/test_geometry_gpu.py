"""Norms, scores, filters, permuted axes and drift on a GPU agree with the CPU."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from reading_models import reading_model, some_tokens

from headalgebra.measurement.axes import measure_axes
from headalgebra.measurement.drift import measure_drift
from headalgebra.measurement.geometry import measure_geometry
from headalgebra.states import Recording, record

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.fixture(params=["gpt2", "qwen3"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> list[Recording]:
    """The same model and text on the CPU and on the GPU."""
    tokens = some_tokens(30, 12)
    return [
        record(reading_model(request.param, head=True).to(device), tokens.to(device), folder)
        for device, folder in (("cpu", tmp_path / "cpu"), ("cuda", tmp_path / "cuda"))
    ]


@pytest.mark.parametrize(
    ("measure", "value"),
    [(measure_geometry, "value"), (measure_axes, "mean"), (measure_drift, "median")],
    ids=["geometry", "axes", "drift"],
)
def test_the_gpu_finds_what_the_processor_does(both, measure, value) -> None:
    expected, found = (pd.DataFrame(measure(recording)) for recording in both)
    told = [column for column in expected if column not in (value, "null", "standard_error")]
    pd.testing.assert_frame_equal(found[told], expected[told])
    # A nulled eigenvalue and an exact symmetry are rounding, of the size of nothing.
    pd.testing.assert_series_equal(found[value], expected[value], rtol=1e-6, atol=1e-9)
