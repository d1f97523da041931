"""Where dense work runs."""

import torch


def compute_device(name: str) -> torch.device:
    """Device for ``auto``, ``cpu`` or ``cuda``, with TF32 products off.

    ``auto`` is the GPU where torch sees one and the CPU otherwise.

    Raises
    ------
    RuntimeError
        When ``cuda`` is asked for and torch sees no GPU.
    """
    torch.set_float32_matmul_precision("highest")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RuntimeError("device: cuda was asked for and torch sees no GPU; use device: auto")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
