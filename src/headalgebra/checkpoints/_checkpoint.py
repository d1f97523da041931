"""A checkpoint that gives its layers one at a time, wherever its weights come from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import torch

from headalgebra.checkpoints._assembly import (
    FactorInitialisation,
    RoundedWeights,
    Weights,
    assemble,
    factor_initialisation,
)
from headalgebra.checkpoints._digest import Provenance
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import LayerFactors, refuse_unsound_factors
from headalgebra.checkpoints._families import AttentionLayer, AttentionShape
from headalgebra.checkpoints.convention import Convention


@dataclass(frozen=True, kw_only=True)
class Checkpoint(AttentionShape, ABC):
    """Factors of the attention of a transformer.

    Attributes
    ----------
    n_layers, n_heads, n_kv_heads, d_model, d_head
        Its sizes: L, H, G, d and r. In the circuit ``"ov"`` r is the width of the values.
    family
        Its `model_type`.
    dtype
        The type of its weights.
    origin
        Its name in error messages.
    provenance
        Which one it is, and what was read of it.
    convention
        How operators are built from the weights.
    chosen
        The layers that it was opened for; None is all.
    layers
        Where the weights of each layer are, and what the model does with them.
    """

    family: str
    dtype: torch.dtype
    origin: str
    provenance: Provenance = field(repr=False)
    convention: Convention
    chosen: tuple[int, ...] | None = None
    layers: tuple[AttentionLayer, ...] = field(repr=False)

    @property
    def revision(self) -> str:
        """Which one it is: a commit of the hub, a digest of the content, or a package's version.

        Of a live model it is the commit that it was loaded from, or ``live``: its weights may have
        changed since.

        A digest of the content needs all of the wanted weights: those of layers that have not been
        read by then are read for it.
        """
        return self.provenance.revision

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 digest, in hex, of each file read; `hashed` says what it is taken over."""
        return self.provenance.files

    @property
    def hashed(self) -> dict[str, Literal["whole", "read"]]:
        """What the digest of each file is taken over.

        ``"whole"``: all of the file. A file whose digest was given has been hashed and compared
        with it, as every small one has been; that of weights fetched whole from the hub is the one
        under which the hub has them. ``"read"``: its header, with the eight bytes of its length,
        followed by the SHA-256 digest of the bytes of each wanted tensor in the order of their
        places in the file; of a GGUF file, the SHA-256 digest of the header followed by the same.
        Of a live model nothing is hashed.
        """
        return self.provenance.hashed

    @property
    def unread_keys(self) -> dict[str, str]:
        """Keys of its configuration that were let pass without being understood, and why.

        ``"reaches no code"``: no code of transformers that runs the model reads the key.
        ``"ignored as asked"``: whoever opened it said so.
        """
        return dict(self.provenance.unread)

    def read_layer(self, layer: int, dtype: str | None = None) -> LayerFactors:
        """Copy the weights of one layer into memory and build its factors.

        Parameters
        ----------
        layer
            0-based.
        dtype
            Type that the weights are rounded to before anything else is done with them:
            ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``; their own by default.

        Returns
        -------
        LayerFactors
            queries [H, d, r], keys [G, d, r], key_of_head [H]. They have the type of the weights
            under the paper's convention. Under any other, and where the model multiplies its
            projections by weights of its own before the scores, they are float64. In the circuit
            ``"ov"`` the keys are [H, d, r].

        Raises
        ------
        CheckpointError
            If there is no such layer or type, it was opened for others, or the weights are not
            finite or overflow the type.
        """
        attention = self._layer(layer)
        weights = self._weights(layer)
        if dtype is not None:
            weights = RoundedWeights(weights, dtype)
        factors = assemble(weights, attention, self, self.convention)
        refuse_unsound_factors(vars(factors), f"{self.origin}, layer {layer}")
        return factors

    def quantisation(self, layer: int) -> str:
        """How a GGUF file has the weights of a layer's queries, such as ``Q4_1``.

        In the circuit ``"ov"`` those of its values. Empty where weights are from elsewhere.

        Raises
        ------
        CheckpointError
            If there is no such layer.
        """
        self._layer(layer)
        return ""

    def initialisation(self, layer: int) -> FactorInitialisation | None:
        """The law of a layer's factors at the architecture's own initialisation.

        It holds under the checkpoint's convention; norms multiply by 1 at initialisation, and
        rotations leave the law as it is.

        Parameters
        ----------
        layer
            0-based.

        Returns
        -------
        FactorInitialisation or None
            None where the factors do not start as matrices of independent normal numbers of one
            width, or where the checkpoint does not say which.

        Raises
        ------
        CheckpointError
            If there is no such layer.
        """
        return factor_initialisation(self._layer(layer), self.convention)

    def _layer(self, layer: int) -> AttentionLayer:
        if not 0 <= layer < self.n_layers:
            raise CheckpointError(
                self.origin, f"no layer {layer}", f"ask for one of 0..{self.n_layers - 1}"
            )
        if self.chosen is not None and layer not in self.chosen:
            raise CheckpointError(
                self.origin,
                f"layer {layer} is none of {[*self.chosen]}, for which it was opened",
                "open it for this one too",
            )
        return self.layers[layer]

    @abstractmethod
    def _weights(self, layer: int) -> Weights:
        """Weights of a layer that exists."""
