"""Spans partition a model's layers and never claim a whole model's path."""

from hypothesis import given
from hypothesis import strategies as st

from spans import spans_of


@given(
    layers=st.lists(st.integers(0, 200), min_size=1, unique=True).map(sorted),
    per_job=st.integers(1, 50),
)
def test_spans_partition_the_layers_in_order(layers: list[int], per_job: int) -> None:
    spans = spans_of("model", {"layers": layers, "layers_per_job": per_job})
    joined = [layer for span in spans.values() for layer in span.layers or ()]
    assert joined == layers
    assert all(len(span.layers or ()) <= per_job for span in spans.values())
    assert "model" not in spans


def test_a_model_that_is_not_split_is_one_span_of_every_layer() -> None:
    (span,) = spans_of("model", {"layers": [0, 3], "layers_per_job": None}).values()
    assert span.layers is None
