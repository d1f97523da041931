"""How much a block changes the state, and whether states collapse onto each other.

States are [N, T, d]: N sequences of T tokens.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def update_ratio(before: Float[Tensor, "N T d"], after: Float[Tensor, "N T d"]) -> float:
    """``|x_l − x_{l−1}| / |x_{l−1}|``, Frobenius over all tokens."""
    return float(torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before))


def token_update_ratio(before: Float[Tensor, "N T d"], after: Float[Tensor, "N T d"]) -> float:
    """Median over tokens of the same, the first of each sequence left out.

    The first token carries activations orders of magnitude larger in many decoders, and would be
    all that the Frobenius norm sees.
    """
    before, after = before[:, 1:], after[:, 1:]
    change = torch.linalg.vector_norm(after - before, dim=-1)
    return float((change / torch.linalg.vector_norm(before, dim=-1)).quantile(0.5))


def token_cosine(before: Float[Tensor, "N T d"], after: Float[Tensor, "N T d"]) -> float:
    """Median over tokens of the cosine between the states before and after."""
    return float(torch.cosine_similarity(before, after, dim=-1, eps=0.0).quantile(0.5))


def stable_rank(states: Float[Tensor, "N T d"]) -> float:
    """``‖X‖_F² / ‖X‖²`` of the states less their mean; 1 if they lie on a line."""
    X = states.flatten(0, 1)
    X = X - X.mean(0)
    gram = X @ X.T if len(X) < X.shape[1] else X.T @ X
    return float(gram.trace() / torch.linalg.eigvalsh(gram)[-1])


def mean_cosine(states: Float[Tensor, "N T d"]) -> float:
    """Mean cosine between the states of two different tokens, of all pairs."""
    units = torch.nn.functional.normalize(states.flatten(0, 1), dim=-1, eps=0.0)
    n = len(units)
    return float((units.sum(0).square().sum() - n) / (n * (n - 1)))


def divergence(last: Float[Tensor, "*n V"], early: Float[Tensor, "*n V"]) -> float:
    """Mean over tokens of ``KL(p_last ‖ p_early)``, in nats, from next-token logits."""
    last, early = last.log_softmax(-1), early.log_softmax(-1)
    return float((last.exp() * (last - early)).sum(-1).mean())
