"""All stages of a small model in one job: each is its own script, run here one after another.

That saves the starts of a dozen jobs.
"""

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    snakemake: Any


@dataclass
class StageJob:
    """What the script of a stage is told of its job."""

    rule: str
    input: Any
    output: Any
    params: Any
    log: list[str]
    wildcards: Any
    threads: int


def named(items: dict[str, Any]) -> Any:
    """Files or parameters by their names, as Snakemake gives them."""
    return type(snakemake.input)(fromdict=items)


params, outputs = snakemake.params, dict(snakemake.output.items())
# Every file by the name that stages know it by, whichever of them leaves it.
files = outputs | dict(snakemake.input.items())
name = snakemake.wildcards.model
for stage, described in params.stages.items():
    job = StageJob(
        rule=stage,
        input=named({known: files[known] for known in described["inputs"]}),
        output=named({known: outputs[file] for known, file in described["outputs"].items()}),
        params=named(
            {key: value for key, value in params.items() if key != "stages"}
            | {"seed": params.weights_seed, "layers": None, "settings": described["settings"]}
        ),
        log=[snakemake.log[stage]],
        wildcards=named({"model": name, "span": name}),
        threads=snakemake.threads,
    )
    script = Path(__file__).resolve().parent / f"{stage}.py"
    runpy.run_path(str(script), {"snakemake": job})
