"""The keys of the configuration: what each may hold, its default and its meaning."""

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

import kinds
from headalgebra import defaults
from reading import SchemaError


class Group(BaseModel):
    """Known keys, each of its own type. What stands below a key is its meaning."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )
    ascending: ClassVar[tuple[tuple[str, str], ...]] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for low, high in self.ascending:
            if not getattr(self, low) < getattr(self, high):
                why = f"{getattr(self, low)} is not below {high}, {getattr(self, high)}"
                raise SchemaError((low, high), why)
        return self


class Study(Group):
    """Which models are compared with one another."""

    title: kinds.Line
    """what the report is headed with"""
    models: kinds.Names
    """in the order of every table and figure"""
    wings: kinds.Wings = ["algebra", "states"]
    """what is measured: algebra, of weights alone; states, of a model that reads a text"""
    text: kinds.Name | None = None
    """a file in config/text/; null: the one that config.yaml names"""
    experiments: kinds.Experiments = []
    """files in config/experiment/, whose decoders are trained here"""


class Text(Group):
    """What the models of the wing of states read."""

    corpus: Literal["docstrings", "source", "file"] = "docstrings"
    """docstrings: English prose out of packages; source: their code; file: a text of your own"""
    packages: kinds.Packages = [*defaults.PACKAGES]
    """docstrings, source: installed packages that the text is taken from, in this order"""
    path: kinds.Line | None = None
    """file: a text in UTF-8"""
    sequences: kinds.Count = defaults.SEQUENCES
    """sequences of tokens, spread over the text"""
    tokens: Annotated[int, Field(ge=8)] = defaults.TOKENS
    """tokens of each sequence, the special ones of the tokenizer among them"""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.corpus == "file") != (self.path is not None):
            why = "missing; corpus file takes a path" if self.path is None else "is for corpus file"
            raise SchemaError(("path", "corpus"), why)
        return self


class Phases(Group):
    """Where the bands of ε begin and end."""

    ascending = (("weak_below", "topological_above"),)
    weak_below: kinds.Positive = defaults.WEAK_BELOW
    """phase I is ε below this"""
    topological_above: kinds.Positive = defaults.TOPOLOGICAL_ABOVE
    """phase III is ε above this, II is between"""


class Conditioning(Group):
    """The bands of the basis' condition number κ."""

    ascending = (("well_below", "poor_from"),)
    well_below: kinds.AboveOne = defaults.WELL_BELOW
    """κ below this is well conditioned"""
    poor_from: kinds.AboveOne = defaults.POOR_FROM
    """κ from this on is poor, moderate is between"""


class Precision(Group):
    """How much of a model the comparison of floating-point formats takes."""

    layers: kinds.Count = 3
    """layers, spread over the depth"""
    triples: kinds.Count = 2
    """triples in each of them"""


class States(Group):
    """How much of a text the measures of states take."""

    dtype: Literal["float64", "float32"] | None = None
    """arithmetic of the model; null: float64 up to 200 million parameters, else float32"""
    pass_sequences: kinds.Count = defaults.PASS_SEQUENCES
    """sequences that pass through a model at once, and of which its geometry is measured"""
    order_sequences: kinds.Count = defaults.ORDER_SEQUENCES
    """sequences on which the Dyson orders are formed; their cost grows as the depth squared"""
    certified_sequences: kinds.Count = defaults.CERTIFIED_SEQUENCES
    """sequences on which Chen's identity and the antipode are checked"""
    hopf_grades: kinds.Count = defaults.HOPF_GRADES
    """the highest order at which they are"""
    resummed_tokens: kinds.Count = defaults.RESUMMED_TOKENS
    """tokens whose last state is estimated from the first states and orders"""
    resummed_terms: kinds.Count = defaults.RESUMMED_TERMS
    """numbers of terms that it is estimated from, spread over the depth"""
    pattern_sequences: kinds.Count = defaults.PATTERN_SEQUENCES
    """sequences whose attention patterns are held against convolutions"""
    gradient_sequences: kinds.Count = defaults.GRADIENT_SEQUENCES
    """sequences whose loss is held against the updates of the blocks"""
    block_layers: kinds.Count = defaults.BLOCK_LAYERS
    """layers, spread over the depth, whose whole block is held against a normal operator"""
    block_tokens: Annotated[int, Field(ge=2)] = defaults.BLOCK_TOKENS
    """tokens of the one sequence on which it is"""
    norm_tokens: kinds.Count = defaults.NORM_TOKENS
    """tokens to read at most for the eigenvalues of normalised states, 16 for each dimension"""
    ablated_layers: kinds.Count = defaults.ABLATED_LAYERS
    """layers, spread over the depth, whose norms are given a constant scale one after another"""
    ablated_tokens: kinds.Count = defaults.ABLATED_TOKENS
    """tokens of one sequence on which they are"""
    permuted_tokens: kinds.Count = defaults.PERMUTED_TOKENS
    """tokens of one sequence that a model reads with its axes permuted"""
    axis_permutations: Annotated[int, Field(ge=2)] = defaults.AXIS_PERMUTATIONS
    """permutations of each kind"""
    drift_sequences: kinds.Count = defaults.DRIFT_SEQUENCES
    """sequences along which windows slide"""


class Claims(Group):
    """What statistics are held against when the papers' claims are judged."""

    ascending = (
        ("near_one_from", "near_one_to"),
        ("slope_from", "slope_to"),
        ("score_std_from", "score_std_to"),
    )
    share: kinds.Fraction = defaults.SHARE
    """of layers that must be as claimed, at the least"""
    rank_correlation: kinds.Fraction = defaults.RANK_CORRELATION
    """something grows from this Spearman's ρ on, if it passes the test besides"""
    layers: Annotated[int, Field(ge=5)] = defaults.LAYERS
    """layers of a model, from which their order is judged; of four none passes the test"""
    sizes: Annotated[int, Field(ge=5)] = defaults.SIZES
    """sizes of a family, from which their order is judged; of four none passes the test"""
    cases: kinds.Count = defaults.CASES
    """known values, from which the coverage of intervals is judged"""
    classical_up_to: kinds.Fraction = defaults.CLASSICAL_UP_TO
    """ε̂ of a layer up to this is rounding"""
    near_one_from: kinds.Positive = defaults.NEAR_ONE_FROM
    """ε of order one begins here"""
    near_one_to: kinds.Positive = defaults.NEAR_ONE_TO
    """and ends here"""
    slope_from: kinds.Positive = defaults.SLOPE_FROM
    """rounding grows with the unit roundoff to this power or more"""
    slope_to: kinds.Positive = defaults.SLOPE_TO
    """and to this power or less"""
    identity_residual: kinds.Fraction = defaults.IDENTITY_RESIDUAL
    """relative residual up to which an identity is borne out"""
    significance: kinds.Fraction = defaults.SIGNIFICANCE
    """level of the permutation test of an order, and of the test whether intervals cover"""
    small_update: kinds.Positive = defaults.SMALL_UPDATE
    """an update of at most this times the norm of the states is small"""
    truncation_error: kinds.Fraction = defaults.TRUNCATION_ERROR
    """of the Dyson series' sum to second order, at the most"""
    hermitian_from: kinds.Fraction = defaults.HERMITIAN_FROM
    """a head of this symmetric share or more counts as Hermitian"""
    non_hermitian_share: kinds.Fraction = defaults.NON_HERMITIAN_SHARE
    """of heads that must be non-Hermitian, at the least"""
    own_block: kinds.Fraction = defaults.OWN_BLOCK
    """a head acts in its own block of axes where that holds this share of its squared norm"""
    low_rank: kinds.Fraction = defaults.LOW_RANK
    """a rank of at most this times a head's width is low"""
    norm_growth: kinds.AboveOne = defaults.NORM_GROWTH
    """states that grow to more than this times the first ones' norm diverge"""
    stable_rank: kinds.AboveOne = defaults.STABLE_RANK
    """states of a smaller stable rank have collapsed"""
    resummation_gain: kinds.Fraction = defaults.RESUMMATION_GAIN
    """of the last state's error that resummation must take away, at the least"""
    trained_models: Annotated[int, Field(ge=4)] = defaults.TRAINED_MODELS
    """models, from which their order is judged"""
    update_r2: kinds.Fraction = defaults.UPDATE_R2
    """of a layer's update that a linear map must explain, at the least"""
    impulse_share: kinds.Fraction = defaults.IMPULSE_SHARE
    """of the response to an impulse that a convolution must explain, at the least"""
    convolution_share: kinds.Fraction = defaults.CONVOLUTION_SHARE
    """of a head's attention that a convolution must explain, at the least"""
    gradient_cosine: kinds.Fraction = defaults.GRADIENT_COSINE
    """of a layer's update with the loss's descent, at the least"""
    growth_without_norms: kinds.AboveOne = defaults.GROWTH_WITHOUT_NORMS
    """states that leave their sphere grow to more than this times the recorded ones"""
    second_eigenvalue: kinds.Fraction = defaults.SECOND_EIGENVALUE
    """of normalised states' covariance, over the median, if two directions are null, at the most"""
    cosine_r2: kinds.Fraction = defaults.COSINE_R2
    """of a head's scores that their cosines must explain, at the least"""
    variance_ratio_error: kinds.Fraction = defaults.VARIANCE_RATIO_ERROR
    """of the scores' variance over that of independent coordinates, from 1, at the most"""
    score_std_from: kinds.Positive = defaults.SCORE_STD_FROM
    """a standard deviation of scores of order one begins here"""
    score_std_to: kinds.Positive = defaults.SCORE_STD_TO
    """and ends here"""
    drift_saturation: kinds.AboveOne = defaults.DRIFT_SATURATION
    """drift that grows to more than this when a window slides twice as far does not saturate"""
    off_share: kinds.Fraction = defaults.OFF_SHARE
    """of an activation's inputs, beyond which those below 0 are most"""
    standard_errors: kinds.Positive = defaults.STANDARD_ERRORS
    """by which a mean must be beyond a bound, or within which two means are alike"""


class Analysis(Group):
    """How every model is measured."""

    seed: Annotated[int, Field(ge=0)] = 0
    """the root of every random draw"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda if there is one"""
    phases: Phases = Phases()
    conditioning: Conditioning = Conditioning()
    rank_cutoff: kinds.Fraction = defaults.RANK_CUTOFF
    """singular values up to this times the largest are dropped"""
    gram_floor: kinds.Fraction = defaults.GRAM_FLOOR
    """a Gram eigenvalue below this times the largest: decompose the operators instead"""
    max_dim: kinds.Count | None = None
    """keep at most so many basis elements; null keeps all"""
    dense_max_dim: kinds.Count = defaults.DENSE_MAX_DIM
    """the largest basis that may go the dense route"""
    balance_above: kinds.AboveOne = defaults.BALANCE_ABOVE
    """heads with factors of a condition number above this are rebalanced"""
    cancellation_below: kinds.Fraction = defaults.CANCELLATION_BELOW
    """squared commutators below this times their terms are computed again from QR factors"""
    exact_up_to_probes: Annotated[int, Field(ge=0)] = defaults.EXACT_UP_TO_PROBES
    """the obstruction is exact where that costs no more than so many probes; 0: never"""
    probes: kinds.Several = defaults.PROBES
    """random directions of a sampled norm; below 64 its interval is too narrow"""
    jacobi_triples: kinds.Count = defaults.JACOBI_TRIPLES
    """triples a layer on which the literal Jacobiator is formed"""
    literal_max_d: kinds.Several = defaults.LITERAL_MAX_D
    """products of dense operators are multiplied out on so many coordinates at the most"""
    sampled_gpu_from_d: kinds.Several = defaults.SAMPLED_GPU_FROM_D
    """sampled extraction of a model at least so wide asks for a GPU"""
    census_max_triples: kinds.Count = defaults.CENSUS_MAX_TRIPLES
    """every triple is taken if there are no more than this"""
    weighted_triples: Annotated[int, Field(ge=200)] = defaults.WEIGHTED_TRIPLES
    """triples drawn otherwise; the interval is calibrated from 200 on"""
    uniform_tuples: kinds.Several = defaults.UNIFORM_TUPLES
    """index tuples of the uniform sampling that is kept for comparison"""
    dense_dtype: Literal["float64", "float32"] = "float64"
    """arithmetic of dense extraction; many GPUs are far faster in float32"""
    literal_tolerance: kinds.Fraction = defaults.LITERAL_TOLERANCE
    """what the residual of the literal relations is held against"""
    relation_tuples: kinds.Count = defaults.RELATION_TUPLES
    """random tuples on which the two-term relations are checked"""
    relation_exhaustive_max_dim: kinds.Count = defaults.RELATION_EXHAUSTIVE_MAX_DIM
    """up to this dimension they are also checked on all basis tuples"""
    null_draws: kinds.Several = defaults.NULL_DRAWS
    """random layers drawn for each null of a layer; their spread needs two"""
    commutant_max_d: kinds.Count = defaults.COMMUTANT_MAX_D
    """the widest model whose W* level is computed; its cost grows as d³"""
    lie_max_heads: kinds.Count = defaults.LIE_MAX_HEADS
    """the most heads of a layer whose Lie level is computed"""
    precision: Precision = Precision()
    states: States = States()
    claims: Claims = Claims()


class PhaseColours(Group):
    """The bands behind the curves: light, and told apart with any colour vision."""

    I: kinds.Colour = "#dcedf8"  # noqa: E741  the phases' own names
    """band of phase I"""
    II: kinds.Colour = "#fbf0b4"
    """band of phase II"""
    III: kinds.Colour = "#eebd9b"
    """band of phase III"""


class Figures(Group):
    """How figures look; changing it computes nothing again."""

    phase_colours: PhaseColours = PhaseColours()
    model_palette: kinds.Palette = "colorblind"
    """the models' colours"""
    map_colours: Literal["cividis", "viridis", "plasma", "inferno", "magma"] = "cividis"
    """the colours of matrices"""
    dpi: Annotated[int, Field(ge=50, le=1200)] = 300
    """dots per inch of the PNG files"""
    width_inches: Annotated[FiniteFloat, Field(gt=3, lt=30)] = 7.0
    """width of a figure"""


class Main(Group):
    """What a run starts from unless the command line chooses otherwise, and how figures look."""

    defaults: kinds.Choices
    """the study, the analysis and the text"""
    figures: Figures = Figures()


class Resources(Group):
    """What a cluster is asked for in place of the rules' own estimates."""

    mem_mb: kinds.Count | None = None
    """memory of a job in MB"""
    runtime: kinds.Count | None = None
    """time of a job in minutes"""


class Training(Group):
    """A decoder that is trained here, and how."""

    size: Literal["tiny", "tiny4", "tiny6", "small", "medium"] = "tiny4"
    """layers, heads and width: 2, 2, 32; 4, 8, 64; 6, 8, 64; 6, 8, 128; 12, 8, 384"""
    layers: kinds.Count | None = None
    """in place of the size's"""
    heads: kinds.Count | None = None
    """in place of the size's"""
    width: kinds.Count | None = None
    """in place of the size's"""
    form: Literal["gpt2", "llama"] = "gpt2"
    """gpt2: learned positions and LayerNorm; llama: rotary positions and RMSNorm"""
    head_width: kinds.Count | None = None
    """llama: of each head; required there"""
    feed_forward: kinds.Count | None = None
    """llama: width of the feed-forward part; required there"""
    corpus: Literal["source", "docstrings", "folder"] = "source"
    """source: the code of packages; docstrings: theirs; folder: files of your own"""
    packages: kinds.Packages = [*defaults.TRAINING_PACKAGES]
    """source, docstrings: installed packages"""
    path: kinds.Line | None = None
    """folder: a folder of texts in UTF-8"""
    vocabulary: Annotated[int, Field(ge=257)] = defaults.TRAINING_VOCABULARY
    """tokens of the tokenizer that is made of the corpus"""
    tokens: Annotated[int, Field(ge=8)] = defaults.TRAINING_TOKENS
    """of a sequence"""
    sequences: kinds.Count | None = None
    """that there are to train on; null: as many as are read, so that none is read twice"""
    validation_sequences: kinds.Count = defaults.VALIDATION_SEQUENCES
    """on which the loss is taken during training"""
    test_sequences: kinds.Count = defaults.TEST_SEQUENCES
    """on which it is taken in the end"""
    steps: kinds.Count = defaults.TRAINING_STEPS
    """updates of the weights"""
    batch: kinds.Count = defaults.TRAINING_BATCH
    """sequences of each"""
    learning_rate: kinds.Positive = 3e-3
    """the largest, after a warm-up of a twentieth of the steps; it ends at a tenth of this"""
    optimiser: Literal["adamw", "sgd", "rotated"] = "adamw"
    """sgd: with momentum; rotated: AdamW in a random basis of the residual stream"""
    gains: Literal["learned", "fixed"] = "learned"
    """of norms; fixed: at 1"""
    checkpoints: kinds.Count = 24
    """kept beside the initialisation, at equal ratios of steps"""
    validate_every: kinds.Count | None = defaults.VALIDATE_EVERY
    """steps between validations; null: at checkpoints alone"""
    attention: Literal["softmax", "window", "linear"] = "softmax"
    """window: of the last tokens alone; linear: without the exponential"""
    window: kinds.Count | None = None
    """attention window: tokens that are seen, the looking one among them"""
    head_windows: Literal["hard", "triangular", "sine"] = "hard"
    """hard: heads are blocks of axes; else they overlap, in windows of this shape"""
    overlap: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    """of head windows that are not hard: share of a head over which it gives way to the next"""
    normaliser: Literal["layernorm", "rmsnorm", "none", "symmetriser"] | None = None
    """in place of every norm; null: the form's own"""
    mixing: Literal["uniform", "identity"] | None = None
    """symmetriser: what its heads' mixing starts from; uniform is LayerNorm"""
    initial: Literal["default", "commuting", "opposed"] = "default"
    """where queries and keys start: commuting gives ε = 0, opposed orients heads at random"""
    qk_scale: kinds.PerLayer = 1.0
    """what queries and keys are multiplied by at the start, in all layers or in each"""
    penalty: Literal["none", "obstruction", "commutator", "target"] = "none"
    """what is added to the loss: of nested commutators, of commutators, or of log ε from targets"""
    penalty_weight: kinds.Positive | None = None
    """of a penalty: what it is multiplied by"""
    targets: kinds.PerLayer | None = None
    """penalty target: the ε that layers are to have"""
    placebo: bool = False
    """a push of the penalty's size in a random direction, in its place"""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, needed, owner in (
            ("head_width", self.form == "llama", "form llama"),
            ("feed_forward", self.form == "llama", "form llama"),
            ("path", self.corpus == "folder", "corpus folder"),
            ("window", self.attention == "window", "attention window"),
            ("overlap", self.head_windows != "hard", "soft head_windows"),
            ("mixing", self.normaliser == "symmetriser", "normaliser symmetriser"),
            ("penalty_weight", self.penalty != "none", "a penalty"),
            ("targets", self.penalty == "target", "penalty target"),
        ):
            if (getattr(self, key) is None) == needed:
                why = f"missing, for {owner}" if needed else f"is for {owner}"
                raise SchemaError((key,), why)
        if self.placebo and self.penalty == "none":
            raise SchemaError(("placebo", "penalty"), "is of a penalty, and there is none")
        if self.checkpoints > self.steps:
            why = f"{self.checkpoints} of {self.steps} steps; ask for no more than there are"
            raise SchemaError(("checkpoints", "steps"), why)
        return self


class Experiment(Group):
    """Decoders trained here in several arms, and what of them is held against what."""

    title: kinds.Line
    """what its figure is headed with"""
    claim: kinds.Name
    """the claim that it answers"""
    train: Training = Training()
    """what all arms have in common"""
    arms: kinds.Arms
    """what each sets besides"""
    seeds: kinds.Count = defaults.TRAINING_SEEDS
    """runs of each arm, from seed 0 on; those of one seed start and read alike"""
    control: kinds.Name | None = None
    """the arm that the others are held against, whose loss must be below the bigrams'"""
    placebo_of: kinds.Placebos = {}
    """for each arm that is judged, the one that it is held against instead"""
    measure: kinds.Name | None = None
    """what is measured of each run, a name in headalgebra.experiments.measures; null: its losses"""
    quantity: kinds.Name
    """the one of its quantities that is judged"""
    comparison: Literal["mean", "paired", "ratio", "equal_loss", "partial_rank"]
    """of means, differences from a control, ratios to it, differences at equal loss, or ranks"""
    against: kinds.Quantities = []
    """partial_rank: what the quantity is held against"""
    given: kinds.Quantities = []
    """partial_rank: what is partialled out"""
    cells: bool = False
    """partial_rank: of means over the seeds of an arm, not of runs"""
    judged: kinds.Quantities | None = None
    """arms that are judged; null: all that are compared"""
    bound: FiniteFloat = 0.0
    """what the effect is held against"""
    side: Literal["above", "below"]
    """where the claim has it"""
    needs: Literal["all", "any"] = "all"
    """whether all rows or any must be there"""

    @model_validator(mode="after")
    def _has_what_it_compares_with(self) -> Self:
        for key, comparison in (("placebo_of", "equal_loss"), ("against", "partial_rank")):
            if bool(getattr(self, key)) != (self.comparison == comparison):
                missing = self.comparison == comparison
                why = f"{'missing, ' if missing else 'is '}for comparison {comparison}"
                raise SchemaError((key, "comparison"), why)
        if self.comparison in ("paired", "ratio") and self.control is None:
            raise SchemaError(("control",), f"missing, for comparison {self.comparison}")
        return self


READING = ("sha256", "adapters", "ignore_config", "allow_pickle", "model_type")
# source: the keys it needs, those it takes one of, and those it may have
SOURCES = {
    "hub": (("id",), ("revision", "revisions"), ("file", "fetch", *READING)),
    "path": (("path",), (), ("file", *READING)),
    "package": (("package",), ("folder", "file"), READING),
    "init": ((), ("config", "id"), ("revision", "ignore_config", "tokenizer")),
    "train": (("train",), (), ("revisions",)),
}
KNOWN_TO_BE_TRAINED = {"hub": True, "path": None, "package": True, "init": False, "train": True}
"""Where a model's file does not say."""


class Model(Group):
    """Where a model's weights come from, and what is read of them."""

    name: kinds.Name | None = None
    """may be left out; anything but the file's name is an error"""
    source: Literal["hub", "path", "package", "init", "train"]
    """where the weights come from"""
    id: kinds.HubId | None = None
    """hub: the model; init: whose architecture"""
    revision: kinds.Revision | None = None
    """hub: required, or revisions; init: of the id"""
    revisions: kinds.Revisions | None = None
    """hub, train: checkpoints of a training in its order, each a model `<name>.<revision>`"""
    train: Training | None = None
    """train: the decoder and how it is trained"""
    path: kinds.Line | None = None
    """path: the checkpoint's folder"""
    package: kinds.Name | None = None
    """package: an installed Python package"""
    folder: kinds.Inside | None = None
    """package: the folder inside it, or file"""
    file: kinds.GgufFile | None = None
    """hub, path, package: a GGUF file inside it, or any of several that belong together"""
    config: kinds.Architecture | None = None
    """init: an architecture in place of an id"""
    tokenizer: kinds.Name | None = None
    """init: the model whose tokenizer it takes, to read a text"""
    sha256: kinds.Digests = {}
    """hub, path, package: files that must have these digests"""
    adapters: Literal["ignore"] | None = None
    """ignore: read a model without the adapter beside it; null refuses the two"""
    ignore_config: kinds.Keys = []
    """keys of config.json to pass over; they must change neither queries nor keys"""
    fetch: Literal["files"] | None = None
    """hub: files fetches whole files; null, of a file that is mostly not wanted, what is wanted"""
    allow_pickle: bool = False
    """read pytorch_model*.bin where there are no safetensors; what would run code is refused"""
    model_type: kinds.Name | None = None
    """hub, path, package: the family of a checkpoint whose config.json names none"""
    trained: bool | None = None
    """whether it is known to be trained; null: hub and package are, init is not, path is unknown"""
    organisation: kinds.Line | None = None
    """who made it; null: the owner of the id on the hub, unknown where there is none"""
    layers: kinds.Layers | None = None
    """layers to study; null is all"""
    dtype: Literal["float64", "float32", "float16", "bfloat16"] | None = None
    """round the weights to this; null leaves the checkpoint's own"""
    circuit: Literal["qk", "ov"] = "qk"
    """qk: operators W_q W_kᵀ of the scores; ov: W_v W_o of the values"""
    scale: bool = False
    """qk: multiply by the model's softmax scale"""
    fold_norm: bool = False
    """fold the norm before attention: its weights and, for LayerNorm, its centring"""
    rope_offset: Annotated[int, Field(ge=-(2**20), le=2**20)] = 0
    """qk: rotary operators at this query minus key position"""
    threads: kinds.Count = 1
    """of a job; another number may change last digits"""
    layers_per_job: kinds.Count | None = None
    """split stages into jobs of so many layers; needs layers"""
    one_job: bool | None = None
    """all stages in one job, never of an id; null: where the weights are of less than 32 MB"""
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _suits_its_source(self) -> Self:
        needs, either, may_have = SOURCES[self.source]
        own, called = needs + either + may_have, f"source {self.source}"
        for key in dict.fromkeys(key for keys in SOURCES.values() for key in sum(keys, ())):
            given = bool(getattr(self, key))
            if given > (key in own) or given < (key in needs):
                why = "belongs to another source" if given else "missing"
                raise SchemaError((key, "source"), f"{why}; {called} takes {', '.join(own)}")
        if either and sum(bool(getattr(self, key)) for key in either) != 1:
            raise SchemaError((*either, "source"), f"{called} takes either {' or '.join(either)}")
        for key in READING[1:] if self.file else ():
            if getattr(self, key):
                why = "has no meaning for a GGUF file, which is read by itself"
                raise SchemaError((key, "file"), why)
        if self.revision and not self.id:
            raise SchemaError(("revision", "id"), "is of an id, and there is none")
        if self.trained and self.source == "init":
            why = "an initialisation is never trained; delete the line"
            raise SchemaError(("trained", "source"), why)
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        for key in ("scale", "rope_offset"):
            if getattr(self, key) and self.circuit == "ov":
                why = "belongs to query-key scores, and circuit ov has none"
                raise SchemaError((key, "circuit"), why)
        if self.layers_per_job and not self.layers:
            why = "needs layers; write layers: 0-<number of layers - 1>"
            raise SchemaError(("layers_per_job", "layers"), why)
        if self.layers_per_job and self.one_job:
            why = "one job has all layers; delete layers_per_job"
            raise SchemaError(("one_job", "layers_per_job"), why)
        return self


GROUPS: dict[str, type[Group]] = {
    "study": Study,
    "model": Model,
    "text": Text,
    "experiment": Experiment,
    "analysis": Analysis,
    "figures": Figures,
}


def plain(group: Group) -> dict[str, Any]:
    """Its keys and values as Python's own types, and every mapping in the order of its keys."""
    return json.loads(json.dumps(group.model_dump(), sort_keys=True))
