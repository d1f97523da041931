"""How far from affine a linear map is in the intrinsic coordinates of a sphere (002, section 3.1).

The paper's coordinates of a hemisphere are its shadow: u, the part of z at right angles to the
pole p, is left when the height h = p·z is dropped. On the sphere h is a function of u, and the
linear map W, written in u, is ``u ↦ W u + h(u) W p``. The best affine fit takes of h what is affine
in u; what is left of it, of variance v, is all that is not affine, and makes up the share

    |W p|² v / tr(W C Wᵀ),    v = 1 / (pᵀ C⁻¹ p)

of the variance of W z, C being the covariance of z. It is 0 where W p = 0 and nowhere else.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.geometry.moments import Moments
from headalgebra.states import FrozenBlock
from headalgebra.states.guards import affine_tolerance
from headalgebra.states.inside import NormSeen


def share_beyond_affine(
    covariance: Float[Tensor, "d d"],
    pole: Float[Tensor, " d"],
    maps: Float[Tensor, "*H d r"],
    *,
    centred: bool,
) -> Float[Tensor, "*H"]:
    """Share of the variance of z W that no affine map of the shadow explains.

    Parameters
    ----------
    covariance
        Of z, positive definite; centred z in their hyperplane.
    pole
        A unit vector, in the hyperplane.
    maps
        W, for rows z.
    centred
        Whether every z has the mean 0.

    Raises
    ------
    ValueError
        If z vary in fewer directions than they could, as those of few different tokens do.
    """
    d = len(pole)
    if centred:
        # The hyperplane's normal is given a variance of its own, which nothing else knows of.
        covariance = covariance + covariance.trace() / d**2
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise ValueError("the states vary in fewer directions than they have axes")
    left = 1 / (pole @ torch.cholesky_solve(pole[:, None], factor)[:, 0])
    at_pole = (pole @ maps).square().sum(-1)
    if centred:
        maps = maps - maps.mean(-2, keepdim=True)
    return left * at_pole / (factor.mT @ maps).square().sum((-1, -2))


def beyond_affine(
    moments: Moments, maps: Float[Tensor, "H d r"], *, centred: bool
) -> Float[Tensor, " H"]:
    """The same of normalised states that were read, the pole being the direction of their mean.

    The fit of the height takes as many freedoms from n states as the shadow has coordinates, d − 1
    or, of a hyperplane, d − 2; its variance is corrected for them.

    Raises
    ------
    ValueError
        If there are too few states to fit to, they vary in too few directions, or their mean has no
        direction.
    """
    freedoms = moments.n - moments.d + int(centred)
    if freedoms <= 0:
        raise ValueError(f"{moments.n} states are too few for {moments.d} dimensions")
    size = torch.linalg.vector_norm(moments.mean)
    if not size > 0:
        raise ValueError("the mean of the states is 0 and has no direction")
    share = share_beyond_affine(
        moments.covariance, moments.mean / size, maps.double().cpu(), centred=centred
    )
    return share * ((moments.n - 1) / freedoms)


def read_by_attention(block: FrozenBlock, before: NormSeen | None) -> tuple[int, NormSeen] | None:
    """The norm whose output the queries of a block are made from, and its layer.

    It is one of the block's own if it is given what enters the block, as pre-norms are. If what
    enters the block is what the last norm of the block before has made, it is that one. None if
    queries are made from something else, as of a stream that is only normalised on its branches.

    Parameters
    ----------
    block
        Whose inside was looked at.
    before
        The last norm of the block before, or None.

    Raises
    ------
    ValueError
        If the inside of the block was not looked at.
    """
    if block.inside is None:
        raise ValueError("ask for blocks with looking_inside=True")
    entering = block.input
    for seen in block.inside.norms:
        if seen.given.shape == entering.shape and torch.equal(seen.given, entering):
            return block.layer, seen
    if before is not None and before.given.shape == entering.shape:
        error = torch.linalg.vector_norm(before.held(before.given) - entering)
        if error <= affine_tolerance(entering.dtype) * torch.linalg.vector_norm(entering):
            return block.layer - 1, before
    return None
