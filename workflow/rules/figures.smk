LAYERS_TABLE = {"layers": paths.study_table(STUDY.study, "layers")}
PHASES = ANALYSIS["phases"]
CONDITIONING = ANALYSIS["conditioning"]

FIGURES = {
    "phases": Figure(
        title="The phase table",
        category="Phases",
        plot="linf.phase_counts",
        tables={**LAYERS_TABLE, "phases": paths.study_table(STUDY.study, "phases")},
        settings=INITIALISED,
        counts=analysis("jacobi_triples"),
    ),
    "epsilon": Figure(
        title="ε by depth",
        category="Phases",
        plot="linf.epsilon_by_depth",
        tables={**LAYERS_TABLE, "nulls": paths.study_table(STUDY.study, "nulls")},
        settings={**PHASES, **INITIALISED},
        counts=analysis("null_draws"),
    ),
    "phase_diagram": Figure(
        title="The phase diagram",
        category="Phases",
        plot="linf.phase_diagram",
        tables=LAYERS_TABLE,
        settings={**PHASES, **INITIALISED},
        counts=analysis("probes"),
    ),
    "gpt2_medium": Figure(
        title="GPT-2 Medium's intervals",
        category="Phases",
        plot="linf.gpt2_medium_intervals",
        tables=LAYERS_TABLE,
        settings=gpt2_medium(STUDY.models),
    ),
    "size": Figure(
        title="ε by size",
        category="Phases",
        plot="linf.epsilon_by_size",
        tables=LAYERS_TABLE,
        settings=families,
    ),
    "commutators": Figure(
        title="Pairs of heads",
        category="Non-commutativity",
        plot="linf.commutator_maps",
        tables={"pairs": table_of_all_models("pairs")},
        settings=of_its_model,
        per="model",
    ),
    "training": Figure(
        title="Over training",
        category="Non-commutativity",
        plot="linf.epsilon_over_training",
        tables={
            **LAYERS_TABLE,
            **({"dyson": paths.study_table(STUDY.study, "dyson")} if "states" in WINGS else {}),
            "metrics": training_of_series,
        },
        settings=training_run,
        per="series",
    ),
    "singular_values": Figure(
        title="Singular values",
        category="Basis",
        plot="linf.singular_values",
        tables={
            **LAYERS_TABLE,
            "singular_values": table_of_all_models("singular_values"),
        },
        settings={**CONDITIONING, **INITIALISED},
    ),
    "conditioning": Figure(
        title="Conditioning and route",
        category="Basis",
        plot="linf.conditioning_by_depth",
        tables=LAYERS_TABLE,
        settings={**CONDITIONING, **INITIALISED},
    ),
    "jacobiator": Figure(
        title="Jacobiator by precision",
        category="Higher brackets",
        plot="linf.jacobiator_by_precision",
        tables={"precision": paths.study_table(STUDY.study, "precision")},
        settings=INITIALISED,
        counts=analysis("precision"),
    ),
    "obstruction": Figure(
        title="Obstruction by depth",
        category="Higher brackets",
        plot="linf.obstruction_by_depth",
        tables=LAYERS_TABLE,
        settings=INITIALISED,
        counts=analysis("probes"),
    ),
    "associator": Figure(
        title="Associator of the deformation",
        category="Higher brackets",
        plot="linf.associator_by_parameter",
        tables={"associator": paths.study_table(STUDY.study, "associator")},
        settings=INITIALISED,
    ),
    "tower": Figure(
        title="Tower and gauge by depth",
        category="Higher brackets",
        plot="linf.tower_by_depth",
        tables={**LAYERS_TABLE, "tower": paths.study_table(STUDY.study, "tower")},
        settings=INITIALISED,
    ),
    "chance": Figure(
        title="Ratios to chance",
        category="Chance",
        plot="linf.ratios_to_chance",
        tables={**LAYERS_TABLE, "nulls": paths.study_table(STUDY.study, "nulls")},
        settings=INITIALISED,
        counts=analysis("null_draws"),
    ),
    "nulls": Figure(
        title="Beside five nulls",
        category="Chance",
        plot="linf.beside_chance",
        tables={table: table_of_model(table) for table in ("epsilon", "coherence", "nulls")},
        settings=of_its_model,
        counts=analysis("null_draws"),
        per="model",
    ),
}
if "algebra" not in WINGS:
    FIGURES = {}


EXPERIMENTS_TABLE = {table: paths.study_table(STUDY.study, table) for table in EXPERIMENT_TABLES}
FOLLOWED = [name for name, it in STUDY.experiments.items() if it["measure"] in OF_THE_COURSE]

if STUDY.experiments:
    FIGURES["experiment"] = Figure(
        title="Arms of an experiment",
        category="Experiments",
        plot="training.experiment",
        tables=EXPERIMENTS_TABLE,
        settings=experiment_figure,
        per="experiment",
    )
if FOLLOWED:
    FIGURES["course"] = Figure(
        title="Algebra and depth over training",
        category="Experiments",
        plot="training.course_over_training",
        tables={name: EXPERIMENTS_TABLE[name] for name in ("trainings", "training_values")},
        settings=course_figure,
        per="experiment",
        experiments=FOLLOWED,
    )


# How much each model reads.
READ = {key: STUDY.text[key] for key in ("sequences", "tokens")}

if "states" in WINGS:
    FIGURES |= {
        "orders": Figure(
            title="Orders of the Dyson series",
            category="States",
            plot="dyson.orders_by_depth",
            tables=with_runs("dyson"),
            settings=beside_initialisation(**bounds("truncation_error")),
            counts={**READ, **analysis("states.order_sequences")},
        ),
        "resummation": Figure(
            title="Resummation",
            category="States",
            plot="dyson.resummation_by_terms",
            tables=with_runs("resummation"),
            settings=INITIALISED,
            counts={**READ, **analysis("states.resummed_tokens")},
        ),
        "saturation": Figure(
            title="Updates and states by layer",
            category="States",
            plot="dyson.saturation_by_depth",
            tables=with_runs("states"),
            settings=beside_initialisation(**bounds("small_update", "stable_rank")),
            counts=READ,
        ),
        "symmetric_share": Figure(
            title="Symmetric share of heads",
            category="States",
            plot="dyson.symmetric_share_by_depth",
            tables=with_runs("normality"),
            settings=INITIALISED,
        ),
        "pseudospectra": Figure(
            title="Pseudospectra of two heads",
            category="States",
            plot="dyson.pseudospectra",
            tables={"pseudospectra": named_table_of_model("pseudospectra")},
            settings={},
            per="model",
        ),
        "growth": Figure(
            title="Growth of perturbations",
            category="States",
            plot="dyson.growth_by_depth",
            tables=with_runs("normality"),
            settings=beside_initialisation(),
            counts=analysis("states.block_layers", "states.block_tokens"),
        ),
        "convolution": Figure(
            title="Convolution share of attention",
            category="States",
            plot="hopf.convolution_by_head",
            tables=with_runs("convolution"),
            settings=beside_initialisation(),
            counts={**READ, **analysis("states.pattern_sequences")},
        ),
        "gradient": Figure(
            title="Updates against the gradient",
            category="States",
            plot="hopf.gradient_by_layer",
            tables=with_runs("convolution"),
            settings=beside_initialisation(),
            counts={**READ, **analysis("states.gradient_sequences")},
        ),
        "norms": Figure(
            title="Norms by layer",
            category="Geometry",
            plot="geometry.norms_by_layer",
            tables=with_runs("geometry"),
            settings=beside_initialisation(**bounds("second_eigenvalue")),
            counts=READ,
        ),
        "norm_ablation": Figure(
            title="Norms rescaled",
            category="Geometry",
            plot="geometry.ablation_by_layer",
            tables=with_runs("geometry"),
            settings=beside_initialisation(**bounds("growth_without_norms")),
            counts={**READ, **analysis("states.ablated_layers", "states.ablated_tokens")},
        ),
        "scores": Figure(
            title="Scores and angles",
            category="Geometry",
            plot="geometry.scores_by_layer",
            tables=with_runs("geometry"),
            settings=beside_initialisation(**bounds("score_std_from", "score_std_to", "cosine_r2")),
            counts=READ,
        ),
        "filter": Figure(
            title="The feed-forward part as a filter",
            category="Geometry",
            plot="geometry.filter_by_layer",
            tables=with_runs("geometry"),
            settings=beside_initialisation(**bounds("off_share")),
            counts=READ,
        ),
        "axes": Figure(
            title="Permuted axes",
            category="Geometry",
            plot="geometry.permuted_axes",
            tables=with_runs("axes"),
            settings=beside_initialisation(),
        ),
        "head_axes": Figure(
            title="Axes that heads keep to",
            category="Geometry",
            plot="geometry.head_axes_by_layer",
            tables=with_runs("normality"),
            settings=beside_initialisation(**bounds("own_block")),
        ),
        "drift": Figure(
            title="Drift under a sliding window",
            category="Geometry",
            plot="geometry.drift_by_offset",
            tables=with_runs("drift"),
            settings=beside_initialisation(),
            counts=READ,
        ),
    }


# Of files that were lost Snakemake sees none, since it knows the folder alone.
if workflow.is_main_process:
    forget_if_incomplete(paths.listing(STUDY.study), paths.figures(STUDY.study))


rule figures:
    input:
        paths.listing(STUDY.study),
    message:
        "all of: figures"


localrules:
    draw_figures,


rule draw_figures:
    input:
        code=modules_behind(
            "draw_figures", *(f"headalgebra.plots.{it.plot}" for it in FIGURES.values())
        ),
        tables=tables_of_drawings,
        provenance=weights_of_models,
    output:
        listing=paths.listing(STUDY.study),
        figures=report(
            directory(paths.figures(STUDY.study)),
            patterns=["{figure}.svg"],
            caption="../report/figure.rst",
            category=category_of_file,
            labels=labels_of_file,
        ),
    log:
        paths.log("draw_figures", STUDY.study),
    conda:
        "../../envs/environment.yaml"
    params:
        style=STUDY.figures,
        quantised=quantised,
        drawings=described_drawings,
        legends=legends,
        decided_by=decided_by,
        provenance=provenance_caption,
    message:
        "the figures"
    script:
        "../../scripts/draw_figures.py"
