"""CLIP: separate Linear weights [out, in], norms in front of attention."""

from typing import Any

from headalgebra.checkpoints._families._attention import AttentionShape
from headalgebra.checkpoints._families._keys import OFF
from headalgebra.checkpoints._families.siglip import Siglip


class Clip(Siglip):
    """Either encoder of Radford et al. (2021), https://arxiv.org/abs/2103.00020: of texts, images.

    Weights start the narrower the deeper the encoder is.
    """

    handled = Siglip.handled | {"initializer_factor"}
    ignored = Siglip.ignored | {"dropout", "projection_dim"}
    harmless = OFF | {
        "add_cross_attention": False,
        "is_decoder": False,
        "is_encoder_decoder": False,
    }

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Of the width, and for what attention reads of the number of layers."""
        written = float(config.initializer_factor) * shape.d_model**-0.5
        read = written * (2 * shape.n_layers) ** -0.5
        return read, read, read, written
