"""The table `drift` of a decoder: how far states move when a window slides along the text."""

from collections.abc import Iterator

from headalgebra.geometry.drift import Drift, window_drift, window_length, window_offsets
from headalgebra.measurement._rows import Row
from headalgebra.states import Recording
from headalgebra.states.kind import kind

SEQUENCES = 4
"""Sequences in which windows slide."""


class DriftError(ValueError):
    """No window can slide along what a model reads; the message says why."""


def measure_drift(recording: Recording, *, sequences: int = SEQUENCES) -> list[Row]:
    """Drift of the states of a decoder, before and after the norm that reads them next.

    Windows are cut out of the sequences that were read, so that no other text is needed: of
    sequences of T tokens, windows of W = 8⌊T/10⌋, which slide by W/4, W/8 and so on to 1. A token
    that begins every text is no part of it, and left out.

    Parameters
    ----------
    recording
        Only its model and tokens are used; the windows are read anew, in one pass of all of them.
    sequences
        So many of the first ones are used.

    Returns
    -------
    list
        A row for each layer from 0, the state that enters the first block, to the number of
        blocks, for each offset, and for before and after the norm, with the columns layer, offset,
        place, median, n (tokens in common) and note.

    Raises
    ------
    DriftError
        If the model is an encoder, in which every token of a window sees the whole, or the
        sequences are shorter than ten tokens.
    """
    if kind(recording) == "encoder":
        raise DriftError("drift is of decoders: an encoder's token sees all of its window")
    stack, tokens = recording.stack, recording.tokens[:sequences]
    start = getattr(stack.model.config, "bos_token_id", None)
    if start is not None and bool((tokens[:, 0] == start).all()):
        tokens = tokens[:, 1:]
    length = window_length(tokens.shape[1])
    if not length:
        raise DriftError(f"sequences of {tokens.shape[1]} tokens are too short for a window")
    drifts = window_drift(stack, tokens, length=length, offsets=window_offsets(length))
    return [row for drift in drifts for row in _rows(drift)]


def _rows(drift: Drift) -> Iterator[Row]:
    unread = "no norm reads this state"
    if drift.normalised:
        unread += ", which is what a norm left"
    for place, values in (("before", drift.before), ("after", drift.after)):
        yield {
            "layer": drift.layer,
            "offset": drift.offset,
            "place": place,
            "median": None if values is None else float(values.quantile(0.5)),
            "n": drift.before.numel(),
            "note": unread if values is None else "",
        }
