"""A transformer as a linear time-invariant system: what it shares with one and what it does not."""

from headalgebra.convolution.gradient import Alignment, gradient_alignment, state_gradients
from headalgebra.convolution.impulse import impulse_response, impulse_share
from headalgebra.convolution.linearity import Linearity, linearity
from headalgebra.convolution.toeplitz import Convolution, fit_convolution

__all__ = [
    "Alignment",
    "Convolution",
    "Linearity",
    "fit_convolution",
    "gradient_alignment",
    "impulse_response",
    "impulse_share",
    "linearity",
    "state_gradients",
]
