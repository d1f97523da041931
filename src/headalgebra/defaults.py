"""Defaults of every measurement's guards and sizes, shared by the library and the configuration.

Importing this takes no time: it needs nothing but Python.
"""

WEAK_BELOW, TOPOLOGICAL_ABOVE = 0.1, 1.0
"""Phase I is ε below the first, phase III ε above the second, phase II between (section 5)."""

WELL_BELOW, POOR_FROM = 100.0, 1000.0
"""κ below the first is well conditioned, from the second on poor, moderate between (section 4)."""

RANK_CUTOFF = 1e-8
"""Singular values of the stacked operators up to this times the largest are dropped."""

GRAM_FLOOR = 1e-8
"""A Gram eigenvalue below this times the largest: the operators themselves are decomposed."""

DENSE_MAX_DIM = 6
"""The largest basis that goes the dense route (section 4)."""

BALANCE_ABOVE = 1e6
"""A head whose factors have a Gram matrix of a larger condition number is rebuilt from balanced
factors."""

CANCELLATION_BELOW = 1e-4
"""A squared commutator below this times its terms is computed again from QR factors."""

EXACT_UP_TO_PROBES = 320
"""The obstruction is computed exactly where that costs no more than so many random directions."""

PROBES = 64
"""Random directions of a sampled norm."""

JACOBI_TRIPLES = 2
"""Triples of a layer on which the literal Jacobiator is formed."""

LITERAL_MAX_D = 4096
"""The most coordinates on which products of dense operators are multiplied out."""

SAMPLED_GPU_FROM_D = 4096
"""The narrowest model whose sampled extraction asks for a GPU."""

CENSUS_MAX_TRIPLES = 20_000
"""Up to so many triples of basis elements, sampled extraction takes every one."""

WEIGHTED_TRIPLES = 400
"""Triples that sampled extraction draws otherwise."""

UNIFORM_TUPLES = 200
"""Index tuples of the uniform sampling that is kept for comparison."""

LITERAL_TOLERANCE = 1e-6
"""What the residual of the literal L∞ relations is held against (section 4)."""

RELATION_TUPLES = 100
"""Random tuples on which the relations of the two-term structure are checked."""

RELATION_EXHAUSTIVE_MAX_DIM = 40
"""Up to this dimension they are also checked on all tuples of basis elements."""

NULL_DRAWS = 20
"""Random layers that are drawn for each null of a layer."""

COMMUTANT_MAX_D = 512
"""The widest model whose W* level is computed."""

LIE_MAX_HEADS = 32
"""The most heads of a layer whose Lie level is computed."""

STRIP_NUMBERS = 2**24
"""Numbers that are formed at once, where something is formed of every head; 0.13 GB in float64."""

WORDS_HELD = 2**26
"""Numbers of a block of words that sampled extraction holds at once, 0.5 GB in float64."""

WORDS_KEPT = 2**29
"""Numbers of all words of a block of probes that sampled extraction keeps, 4 GB in float64."""

PROBES_AT_ONCE = 16
"""Probes of a block, fewer where their words would be more than are kept."""

SHARE = 0.8
"""Of a model's layers that must be as a claim has them, at the least."""

RANK_CORRELATION = 0.7
"""Something grows from this Spearman's ρ on, if chance seldom orders it so."""

LAYERS = 8
"""Layers of a model, from which their order is judged."""

SIZES = 5
"""Sizes of a family, from which their order is judged: of four, one order in 24 is theirs."""

CASES = 20
"""Known values, from which the coverage of intervals is judged."""

CLASSICAL_UP_TO = 1e-14
"""ε̂ of a layer up to this is rounding."""

NEAR_ONE_FROM, NEAR_ONE_TO = 0.5, 2.0
"""ε of order one."""

SLOPE_FROM, SLOPE_TO = 0.9, 1.05
"""Power with which rounding grows with the unit roundoff, 16-bit products rounding once."""

IDENTITY_RESIDUAL = 1e-10
"""Relative residual up to which an identity is borne out."""

SIGNIFICANCE = 0.01
"""Level of the tests that verdicts rest on."""

CONVERGED_BELOW = 0.1
"""A partial sum of Dyson orders has converged where its relative error stays within this."""

HOPF_GRADES = 4
"""The highest grade at which Chen's identity and the antipode are checked."""

BOREL_NODES = 48
"""Gauss–Laguerre nodes of a Borel sum."""

IMPULSE_DRAWS = 2
"""Random perturbations of a token, whose mean square is its impulse response."""

RIDGE_FOLDS = 5
"""Parts that tokens are cut into, each held out once from a fitted affine map."""

TOKENS_PER_DIMENSION = 4
"""An affine map between states of dimension d is fitted to at least so many times d tokens."""

NULL_PATTERNS = 4
"""Permuted patterns whose mean convolution share is what chance gives."""

FLOAT64_UP_TO = 200_000_000
"""Models of up to so many parameters run in float64, larger ones in float32."""

PACKAGES = ("networkx", "numpy", "scipy")
"""Installed packages whose docstrings or source are the text that models read."""

SEQUENCES = 16
"""Sequences of tokens that a model reads."""

TOKENS = 128
"""Tokens of each of them."""

IMPULSE_POSITIONS = 8
"""Tokens of a sequence that are perturbed, one at a time."""
PSEUDOSPECTRAL_DECADES = (1, 2, 3)
"""Pseudospectral radii are of perturbations of size 10^-k times the operator norm."""

CERTIFIED_WITHIN = 1e-6
"""Relative distance of the certified upper bound on such a radius."""

RANK_SHARE = 0.99
"""Share of the squared Frobenius norm that the numerical rank of a head holds."""

DEPARTURE_PROBES = 16
"""Random signs behind the bounds on a block's departure from normality."""

GROWTH_DELTA = 0.1
"""Size, over a block's norm, of the perturbations whose pseudospectral radii foretell growth."""

GROWTH_SIZE = 1e-4
"""Norm over that of the state of the random perturbations whose growth is measured."""

BLOCK_LAYERS = 4
"""Layers, spread over the depth, whose whole block is held against a normal operator."""

BLOCK_TOKENS = 32
"""Tokens of the one sequence on which blocks are."""

GROWTH_DRAWS = 4
"""Random perturbations whose growth through the live blocks is followed."""

ORDER_SEQUENCES = 4
"""Sequences on which the Dyson orders are formed."""

CERTIFIED_SEQUENCES = 1
"""Sequences on which Chen's identity and the antipode are checked."""

RESUMMED_TOKENS = 256
"""Tokens whose last state is estimated from the first states and orders."""

RESUMMED_TERMS = 8
"""Numbers of terms that it is estimated from, spread over the depth."""

PASS_SEQUENCES = 16
"""Sequences that pass through a model at once."""

GRADIENT_SEQUENCES = 4
"""Sequences whose loss is held against the updates of the blocks."""

PATTERN_SEQUENCES = 4
"""Sequences whose attention patterns are held against convolutions."""
PORTRAIT_POINTS = 161
"""Points along either axis of the plane where pseudospectra are drawn."""
SMALL_UPDATE = 0.3
"""A layer's update of the states that is no more than this times their norm is small."""

TRUNCATION_ERROR = 0.1
"""Of the Dyson series' sum to second order, relative to the last state, at the most."""

HERMITIAN_FROM = 0.95
"""A head of so large a symmetric share, or a larger one, counts as Hermitian."""

NON_HERMITIAN_SHARE = 0.95
"""Of a model's heads that must be non-Hermitian, at the least."""

OWN_BLOCK = 0.5
"""A head acts in a block of its own where that holds so much of its squared norm."""

LOW_RANK = 0.5
"""A rank of no more than this times a head's width is low."""

NORM_GROWTH = 1e3
"""States whose norm grows to more than this times the first one's diverge."""

STABLE_RANK = 2.0
"""States of a smaller stable rank have collapsed into one mode."""

RESUMMATION_GAIN = 0.1
"""Of the last state's error that a resummation must take away, at the least."""

TRAINED_MODELS = 8
"""Models, from which their order is judged."""

UPDATE_R2 = 0.9
"""Of a layer's update, what a linear map must explain if the layer is linear, at the least."""

IMPULSE_SHARE = 0.8
"""Of the response to an impulse, what a convolution must explain, at the least."""

CONVOLUTION_SHARE = 0.5
"""Of a head's attention, what a convolution must explain, at the least."""

GRADIENT_COSINE = 0.5
"""Of a layer's update with the loss's descent, if the update is that, at the least."""

GROWTH_WITHOUT_NORMS = 10.0
"""States that leave the norms' sphere grow to more than this times the recorded ones."""

SECOND_EIGENVALUE = 1e-2
"""Of a covariance matrix, over the median one, if a norm nulls two directions, at the most."""

COSINE_R2 = 0.9
"""Of a head's scores, what their cosines must explain if scores are angles, at the least."""

VARIANCE_RATIO_ERROR = 0.1
"""Of the scores' variance over that of independent coordinates, from 1, at the most."""

SCORE_STD_FROM, SCORE_STD_TO = 0.5, 2.0
"""Standard deviation of scores over √r that is of order one."""

DRIFT_SATURATION = 1.1
"""Drift that grows to more than this when a window slides twice as far does not saturate."""

OFF_SHARE = 0.5
"""Of an activation's inputs that are below 0, beyond which it discards most."""

STANDARD_ERRORS = 3.0
"""Errors of a mean by which it must be beyond a bound, or within which two means are alike."""

EFFECT_SEQUENCES = 1
"""Sequences on which a layer's attention is replaced by convolutions."""

NORM_TOKENS = 8192
"""Tokens that a model may read for the eigenvalues of its normalised states."""

ABLATED_LAYERS = 10
"""Layers, spread over the depth, whose norms are given a constant scale one after another."""

ABLATED_TOKENS = 32
"""Tokens of one sequence on which they are."""

PERMUTED_TOKENS = 16
"""Tokens of one sequence that a model reads with its axes permuted."""

AXIS_PERMUTATIONS = 16
"""Permutations of axes of each kind."""

DRIFT_SEQUENCES = 2
"""Sequences along which windows slide."""

TRAINING_PACKAGES = ("transformers", "scipy", "pandas")
"""Installed packages whose source or docstrings decoders are trained on."""

TRAINING_STEPS = 1952
"""Updates of the weights of a decoder trained here: two million tokens at the other defaults."""

TRAINING_BATCH = 8
"""Sequences of each."""

TRAINING_TOKENS = 128
"""Tokens of each sequence."""

TRAINING_VOCABULARY = 1024
"""Tokens that a tokenizer made here knows."""

VALIDATION_SEQUENCES, TEST_SEQUENCES = 32, 1024
"""On which the loss is taken during training, and in the end."""

VALIDATE_EVERY = 16
"""Steps between two validations."""

TRAINING_SEEDS = 8
"""Runs of each arm of an experiment: they find a difference of 1.2 standard deviations."""
