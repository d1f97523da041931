"""A decoder is trained, and keeps its weights at steps of equal ratios."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from decoders import builder_of, penalty_of, recipe_of
from headalgebra.training import load_tokens, train
from headalgebra.variants.models import without_decay
from stage import aside, job, tell

if TYPE_CHECKING:
    snakemake: Any

PACKAGES = ("headalgebra", "torch", "transformers", "accelerate", "tokenizers")

with job(snakemake):
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    settings = {"training": params.training, "seed": params.seed}
    written = json.dumps(settings, sort_keys=True).encode()
    # Snakemake takes away what a failed job has written; what is here, a killed training goes on
    # from. Its folder is named by what it is, since the next run may ask for another.
    under_way = Path(params.under_way) / hashlib.sha256(written).hexdigest()[:16]
    if under_way.exists():
        print(f"goes on from what is in {under_way}")
    trained = train(
        builder_of(params.training, params.seed),
        load_tokens(snakemake.input.tokens),
        under_way,
        recipe=recipe_of(params.training),
        seed=params.seed,
        penalty=penalty_of(params.training, params.seed),
        undecayed=without_decay,
        device=params.device,
    )
    print(f"{len(trained.checkpoints)} checkpoints, test loss {trained.test_loss}")
    if trained.diverged is not None:
        tell(f"diverged at step {trained.diverged}")
    provenance = {
        **settings,
        "threads": snakemake.threads,
        "packages": {package: version(package) for package in PACKAGES},
    }
    content = json.dumps(provenance, indent=2, sort_keys=True) + "\n"
    (under_way / "provenance.json").write_text(content, encoding="utf-8")
    with aside(snakemake.output.trained) as folder:
        under_way.replace(folder)
