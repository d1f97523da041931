"""Section 6: four principles of design that the tower is to give."""

from headalgebra.claims.experiments import settled_by

CLAIMS = (
    settled_by(
        "regularise",
        "log of the obstruction over that of random layers, less the placebo's at the same loss",
        id="regularise",
        title="Penalising the obstruction",
        section="6",
        statement="a penalty on the obstruction in training leads to cleaner structure",
        paper_value="a proposal",
        criterion="in decoders trained here with such a penalty, of any weight, the log of the "
        "obstruction over that of random layers lies below its placebo's, which pushes queries and "
        "keys as hard in random directions, where the placebo has the same validation loss",
    ),
    settled_by(
        "phase-design",
        "difference in test loss, nats a token",
        id="phase-design",
        title="Phases by design",
        section="6",
        statement="architectures should be designed to keep a fitting distribution of their layers "
        "over the phases, by control of ε",
        paper_value="a proposal",
        criterion="the test loss of decoders trained here whose ε is held to a target, of any kind "
        "of target, less that of the control of the same seed, lies below 0",
    ),
    settled_by(
        "gauge-init",
        "difference in log tokens read until the validation loss is below that of bigrams",
        id="gauge-init",
        title="Starting at a point of the gauge landscape",
        section="6",
        statement="an initialisation that puts heads near chosen points of the gauge theory may "
        "speed convergence",
        paper_value="a proposal",
        criterion="the log of the tokens that decoders trained here have read when their "
        "validation loss first is below that of bigrams, less that of the usual start and the same "
        "seed, lies below 0 for any other start that is held against it; pairs of which one never "
        "gets there are left out and counted",
    ),
    settled_by(
        "capacity",
        "partial rank correlation over widths and depths",
        id="capacity",
        title="Wilson loops measure capacity",
        section="6",
        statement="capacity can be understood and controlled by Wilson loops and topological "
        "invariants in place of numbers of parameters",
        paper_value="a proposal",
        criterion="over widths and depths of decoders trained here, the partial rank correlation "
        "of the mean |1 − W| over that of heads turned at random with the test loss, log width and "
        "log depth held fixed, lies below 0: what Wilson loops say beyond size; of control nothing "
        "is judged",
    ),
)
