"""An encoder and a decoder, their layers numbered through."""

from dataclasses import replace
from typing import Any, ClassVar

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._family import SeparateProjections


class TwoStacks(SeparateProjections):
    """Layers of self-attention: first the encoder's, then the decoder's.

    An encoder may be saved alone. In the names of the tensors the place of a layer, such as
    ``encoder.layers.0``, is left open.

    Attributes
    ----------
    decoder_layers
        Configuration attribute for the decoder's number of layers.
    block
        What a stack calls its layers.
    """

    decoder_layers: ClassVar[str]
    block: ClassVar[str]
    optional = "decoder."

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes of both stacks."""
        shape = super().shape(config, where)
        return replace(shape, n_layers=shape.n_layers + getattr(config, self.decoder_layers))

    def place(self, config: Any, layer: int) -> str:
        """In the stack that the layer belongs to."""
        of_encoder = getattr(config, self.sizes["layers"])
        if layer < of_encoder:
            return f"encoder.{self.block}.{layer}"
        return f"decoder.{self.block}.{layer - of_encoder}"
