"""Time the dense extraction of one large basis on a GPU.

Gaussian operators of unit norm, drawn on the device, which the extraction does not see the
difference of. Beside it stands the floor: products of two d×d matrices, one after the other, on the
same device in the same run. Without a GPU there is nothing to time: it says so and ends.

The last line printed with --json is one JSON object.
"""

import argparse
import json
from time import perf_counter

import torch

from headalgebra.algebra.linf import extract_dense
from headalgebra.algebra.linf.dense import dense_bytes
from headalgebra.devices import compute_device


def gemm_tflops(a: torch.Tensor, b: torch.Tensor, products: int = 20) -> float:
    """Rate of products of two matrices on their GPU."""
    out = a @ b
    torch.cuda.synchronize(a.device)
    start = perf_counter()
    for _ in range(products):
        torch.mm(a, b, out=out)
    torch.cuda.synchronize(a.device)
    return 2 * products * len(a) ** 3 / (perf_counter() - start) / 1e12


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=4096)
    parser.add_argument("--elements", type=int, default=32)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    n, d, dtype = arguments.elements, arguments.d_model, getattr(torch, arguments.dtype)
    predicted = dense_bytes(n, d, dtype)
    device = compute_device("auto")
    if device.type != "cuda":
        print(f"no GPU: torch sees none; {predicted / 1e9:.1f} GB would be held on one")
        if arguments.json:
            print(json.dumps({"device": "cpu", "predicted_bytes": predicted}))
        return
    generator = torch.Generator(device).manual_seed(0)
    elements = torch.empty(n, d, d, dtype=dtype, device=device).normal_(generator=generator)
    for element in elements:
        element /= torch.linalg.matrix_norm(element)
    floor = gemm_tflops(elements[0], elements[1])
    extract_dense(elements[:3])
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.synchronize(device)
    start = perf_counter()
    extraction = extract_dense(elements)
    time = perf_counter() - start  # its numbers are on the host: the device is done
    # Without what recomputing brackets adds.
    tflops = 2 * n * (n**2 - 1) * d**3 / time / 1e12
    figures = {
        "device": torch.cuda.get_device_name(device),
        "seconds": time,
        "tflops": tflops,
        "gemm_tflops": floor,
        "of_gemm": tflops / floor,
        "peak_bytes": torch.cuda.max_memory_allocated(device),
        "predicted_bytes": predicted,
        "obstruction_rms": extraction.obstruction_rms,
        "coherence_residual": extraction.coherence_residual,
    }
    for name, value in figures.items():
        print(f"{name:>18} {value if isinstance(value, str) else format(value, '.6g')}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
