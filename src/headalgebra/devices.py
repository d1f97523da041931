"""Where dense work runs."""

import os

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


def memory_bytes(device: torch.device) -> int:
    """Bytes that a GPU has free, or that the machine has of its own memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
