"""Column names of every table, in order; other tools read these names."""

FLOAT_FORMAT = "%.12g"
"""Of every number in a CSV file: 12 significant digits."""

TEXT = frozenset(
    ("model", "models", "id", "on", "paper", "section", "statement", "paper_value", "criterion")
) | {
    *("statistic", "verdict", "note", "rests_on", "phase", "quantisation", "revision", "rule"),
    *("kind", "norm_placement", "text", "text_sha256", "guard", "operator", "method", "sequence"),
    *("experiment", "claim", "arm", "control", "run", "side", "needs", "size"),
}
"""Columns that hold text whatever it looks like: a model may be named 1, NA or null."""

SINGULAR_VALUES = ("layer", "index", "sigma")

PAIRS = ("layer", "i", "j", "commutator_norm", "commutator_relative", "haar_norm")

BASIS = ("layer", "rank", "kappa", "basis_dim", "kappa_used", "conditioning", "route")

EPSILON = ("layer", "epsilon", "epsilon_relative", "epsilon_haar")

LINF = (
    "layer",
    "n_triples",
    "n_probes",
    "jacobi_rms",
    "jacobi_noise",
    "jacobi_bound",
    "obstruction_rms",
    "obstruction_ci_low",
    "obstruction_ci_high",
    "hochschild_residual",
    "note",
)

COHERENCE = (
    "layer",
    "closure_defect",
    "closure_isotropy",
    "jacobi_projected_rms",
    "rho3",
    "coherence_residual",
    "l2_norm",
    "l3_norm",
    "note",
)

NULLS = ("layer", "quantity", "null", "mean", "sd", "low", "high", "p_value", "n")
"""What random layers give: mean, spread and 2.5 and 97.5 % quantiles of n draws.

The p-value is two-sided, by the rank of the layer's own number among the draws; n draws give no
less than 2/(n + 1).
"""

TOWER = ("layer", "level", "quantity", "value")

GAUGE = ("layer", "action", "wilson_mean", "note")

SPECTRA = ("layer", "head", "index", "singular_value", "eigenvalue_real", "eigenvalue_imag")

ASSOCIATOR = ("layer", "t", "associator", "predicted", "coordinates")

SAMPLING = (
    "layer",
    "estimator",
    "dtype",
    "n_triples",
    "n_probes",
    "value",
    "low",
    "high",
    "coverage",
    "repetitions",
)

PRECISION = ("layer", "operand", "dtype", "unit_roundoff", "jacobi_mean", "coordinates")

LITERAL = ("layer", "dtype", "n_triples", "residual")

RUNS = (
    "kind",
    "norm_placement",
    "text",
    "text_sha256",
    "sequences",
    "tokens",
    "parameters",
    "dtype",
    "device",
    "note",
)
"""How a model was run on a text; one that could not be says why.

``kind`` is encoder or decoder, by whether a token sees later ones. ``norm_placement`` is pre or
post: whether a block normalises what enters its parts or what leaves it.
"""

GUARDS = ("guard", "value", "tolerance", "passed", "note")
"""Checks that a recorded pass is the model's own, and that its blocks are affine once frozen."""

STATES = (
    "layer",
    "update_ratio",
    "update_ratio_without_first",
    "norm_before",
    "norm",
    "cosine",
    "stable_rank",
    "stable_rank_without_first",
    "mean_cosine",
    "kl_to_last",
    "attention_distance",
    "attention_distance_without_first",
    "attention_to_first",
    "attention_to_self",
    "attention_to_later",
    "attention_entropy",
    "induction",
    "note",
)

DYSON = (
    "order",
    "norm",
    "partial_error",
    "cumulative",
    "norm_without_first",
    "partial_error_without_first",
    "cumulative_without_first",
    "chen_residual",
    "antipode_residual",
    "note",
)
"""Orders of the Dyson series, from 0 to the number of blocks, relative to the last state."""

RESUMMATION = ("sequence", "m", "method", "median", "q1", "q3", "cross_entropy", "broken")
"""Estimates of the last state from the terms 0 to m of a sequence, and how far off they are."""

NORMALITY = ("layer", "operator", "quantity", "value")
"""How far head operators and blocks are from normal ones."""

PORTRAIT = ("layer", "head", "henrici", "kind", "real", "imaginary", "value")
"""The least and the most normal head of a job's layers, as a picture of pseudospectra has them."""

CONVOLUTION = ("layer", "head", "quantity", "value", "null")
"""How near attention, and the model as a whole, are to a convolution; no head: of the layer."""

GEOMETRY = ("layer", "norm", "head", "quantity", "value", "null", "note")
"""Norms, scores, the feed-forward part and the axes of heads; no norm or no head: of the layer."""

AXES = (
    *("permuted", "quantity", "moved", "layer", "permutations", "mean", "standard_error", "note"),
)
"""What permutations of axes do to the loss, or to the last state; no layer: in all at once."""

DRIFT = ("layer", "offset", "place", "median", "n", "note")
"""How far states move when a window slides along the text by an offset, by the layer they leave."""

TRAININGS = (
    *("experiment", "arm", "seed", "run", "size", "parameters", "tokens"),
    *("test_loss", "unigram", "bigram", "trigram"),
    *("validation_unigram", "validation_bigram", "validation_trigram", "diverged"),
)
"""Trainings of each arm of an experiment; losses in nats a token, ``tokens`` read.

Beside the test loss is what n-grams of the training sequences get on the same tokens, and what they
get on those of the validation.
``diverged`` is the step at which a loss was not finite, empty where all were.
"""

RUN_VALUES = ("step", "layer", "quantity", "value")
"""What one measure gives of a training; no step: of its end, no layer: of all layers."""

TRAINING_VALUES = (
    *("experiment", "arm", "seed", "run", "step", "tokens", "layer", "quantity", "value"),
)
"""The same of every training, with its losses at the steps at which they were taken."""

EXPERIMENTS = (
    *("experiment", "claim", "statistic", "arm", "control", "n", "mean", "effect", "low", "high"),
    *("bound", "side", "needs", "p", "p_holm", "detectable", "confidence", "diverged", "excluded"),
    *("above_floor", "parameters", "note"),
)
"""What each arm of an experiment does, against its control or against a bound.

The effect with its interval is held against ``bound``: the claim has it on that ``side`` (above or
below), for all rows of the experiment or any of them, as ``needs`` says. ``p`` is two-sided against
the bound, ``p_holm`` the same after Holm's correction over all rows. ``detectable`` is the least
distance from the bound that ``n`` runs find in 80 % of cases. ``diverged`` and ``excluded`` count
runs that are not in it; ``above_floor`` those of the control whose test loss is not below the
bigrams', of which an experiment that is judged has none.
"""

ESTIMATE = ("rule", "model", "jobs", "fetched_bytes", "kept_numbers", "cpu_s")

SHAPE = ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_head")

CONVENTION = ("circuit", "scale", "fold_norm", "rope_offset")
"""How A_h is built from the weights, as every row records it."""

LAYERS = (
    "model",
    "layer",
    *SHAPE,
    "epsilon",
    "epsilon_relative",
    "epsilon_haar",
    "epsilon_null",
    "epsilon_null_ratio",
    "phase",
    "rank",
    "kappa",
    "basis_dim",
    "kappa_used",
    "conditioning",
    "route",
    "n_triples",
    "n_probes",
    "jacobi_rms",
    "jacobi_noise",
    "jacobi_bound",
    "obstruction_rms",
    "obstruction_ci_low",
    "obstruction_ci_high",
    "hochschild_residual",
    "closure_defect",
    "closure_isotropy",
    "closure_isotropy_null",
    "jacobi_projected_rms",
    "rho3",
    "rho3_null",
    "coherence_residual",
    "action",
    "wilson_mean",
    *CONVENTION,
    "quantisation",
    "revision",
    "note",
)

PHASES = (
    "model",
    "phase",
    "n_layers",
    "first_layer",
    "last_layer",
    "epsilon_min",
    "epsilon_max",
    "jacobi_rms_max",
    "rho3_mean",
)

MODEL_SAMPLING = ("model", *SAMPLING)

MODEL_PRECISION = ("model", *PRECISION)

MODEL_NULLS = ("model", *NULLS)

MODEL_TOWER = ("model", *TOWER)

MODEL_ASSOCIATOR = ("model", *ASSOCIATOR)

MODEL_RUNS = ("model", *RUNS)

MODEL_GUARDS = ("model", *GUARDS)

MODEL_STATES = ("model", *STATES)

MODEL_DYSON = ("model", *DYSON)

MODEL_RESUMMATION = ("model", *RESUMMATION)

MODEL_NORMALITY = ("model", *NORMALITY)

MODEL_PORTRAIT = ("model", *PORTRAIT)

MODEL_CONVOLUTION = ("model", *CONVOLUTION)

MODEL_GEOMETRY = ("model", *GEOMETRY)

MODEL_AXES = ("model", *AXES)

MODEL_DRIFT = ("model", *DRIFT)

COST = ("rule", "model", "jobs", "wall_s", "cpu_s", "max_rss_mb")

MODEL_LITERAL = ("model", *LITERAL)

CONDITIONING = (
    "case",
    "elements",
    "n",
    "kappa",
    "conditioning",
    "exact",
    "dense",
    "sampled",
    "low",
    "high",
    "dense_error",
    "sampled_error",
    "relative_error",
    "literal_residual",
)
"""Constructed layers: the obstruction as it is, and as each method has it.

The first two errors are relative to the exact value, the third is that of sampled against dense.
"""

FEASIBILITY = (
    "route",
    "n",
    "d_model",
    "n_triples",
    "n_probes",
    "completed",
    "bytes",
    "peak_rss_bytes",
    "wall_s",
    "cpu_s",
    "obstruction_rms",
    "obstruction_ci_low",
    "obstruction_ci_high",
    "literal_residual",
)
"""Extraction of random layers of the sizes that the paper speaks of."""

DESCRIBED_MODELS = (
    "model",
    "source",
    "id",
    "revision",
    "commit",
    "organisation",
    "family",
    "trained",
    "first_of_series",
    "last_of_series",
)
"""What the claims need to know of a model beyond its layers.

``revision`` is what its file asks for, ``commit`` what that was when it was read. ``organisation``
is who made it, empty where nothing says. ``trained`` is True, False, or None where its file does
not say. The last two tell where in a training run it stands, if it is of one.
"""

CLAIMS = (
    "paper",
    "id",
    "section",
    "statement",
    "paper_value",
    "criterion",
    "statistic",
    "value",
    "low",
    "high",
    "n",
    "models",
    "verdict",
    "note",
    "rests_on",
)
"""A verdict, and the one number that the criterion was applied to, with its 95 % interval."""

EVIDENCE = ("id", "on", "statistic", "value", "low", "high", "n")
"""Every number behind a claim: of a model, of a family of models, or of layers made here."""
