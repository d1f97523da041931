"""What training is asked for beside its loss: terms in the operators of the heads.

A penalty is called with a model and the number of a step and gives a number to be added to the
loss. Its `Placebo` gives the same parameters gradients of the same size and a random direction.
"""

from headalgebra.training.penalties.commutators import Commutator, Target
from headalgebra.training.penalties.obstruction import Obstruction
from headalgebra.training.penalties.penalty import Penalty
from headalgebra.training.penalties.placebo import Placebo

__all__ = ["Commutator", "Obstruction", "Penalty", "Placebo", "Target"]
