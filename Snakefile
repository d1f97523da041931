"""From checkpoints and trainings to the claims, in order of the data."""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/study.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/folders.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/drawings.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/estimate.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/basis.smk"
include: "workflow/rules/epsilon.smk"
include: "workflow/rules/linf.smk"
include: "workflow/rules/coherence.smk"
include: "workflow/rules/states.smk"
include: "workflow/rules/stages.smk"
include: "workflow/rules/small.smk"
include: "workflow/rules/configuration.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/constructed.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"


rule results:
    default_target: True
    input:
        read_of_models,
        measured_of_models,
        rules.tables.input,
        rules.states.input,
        rules.experiments.input,
        rules.figures.input,
        rules.gather_cost.output,
        rules.claims.input,
    message:
        "everything of the study"
