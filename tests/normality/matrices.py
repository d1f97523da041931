"""Matrices to test on, and textbook ways to their radii."""

import numpy as np
import scipy.linalg

from headalgebra.normality.compression import Compression


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def orthogonal(seed, n):
    Q, R = np.linalg.qr(gaussian(seed, n, n))
    return Q * np.sign(np.diagonal(R))


def jordan(n):
    """The Jordan block of eigenvalue 0."""
    return np.eye(n, k=1)


def grcar(n, k):
    return sum((np.eye(n, k=j) for j in range(k + 1)), -np.eye(n, k=-1))


def normal(seed, n):
    """A real normal matrix: rotations, and one real eigenvalue where n is odd."""
    angles, sizes = gaussian(seed, n // 2), gaussian(seed + 1, n)
    turns = [
        size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for angle, size in zip(angles, sizes, strict=False)
    ]
    blocks = [*turns, sizes[-1:, None]] if n % 2 else turns
    turn = orthogonal(seed + 2, n)
    return turn @ scipy.linalg.block_diag(*blocks) @ turn.T


def of_rank(seed, n, r):
    """A matrix of rank r, whole and compressed into range and complement."""
    turn = orthogonal(seed, n)
    C = np.zeros((n, n))
    C[:r] = gaussian(seed + 1, r, n)
    return turn @ C @ turn.T, Compression(C[:r, :r], C[:r, r:])


def smallest_singular_value(A, z):
    return np.linalg.svd(z * np.eye(len(A)) - A, compute_uv=False)[-1]


def criss_cross(A, delta):
    """The pseudospectral radius by the criss-cross method (Mengi and Overton 2005), dense.

    Along a ray boundary points are eigenvalues of a matrix, on a circle of a pencil. The touching
    angle is always searched again: rounding may lift its eigenvalue, double there, off the circle.
    """
    n, one = len(A), np.eye(len(A))

    def along(angle):
        turned = np.exp(-1j * angle) * A
        H = np.block([[turned, delta * one], [delta * one, turned.conj().T]])
        found = scipy.linalg.eigvals(H)
        # σ_min(re^{iθ} - A) = δ at the real eigenvalues.
        return max((z.real for z in found if abs(z.imag) < 1e-7), default=0.0)

    angle = np.angle(max(np.linalg.eigvals(A), key=abs))
    radius = along(angle)
    while True:
        left = np.block([[A, delta * one], [np.zeros((n, n)), radius * one]])
        right = np.block([[radius * one, np.zeros((n, n))], [delta * one, A.conj().T]])
        found = scipy.linalg.eigvals(left, right)
        on_circle = np.angle(found[abs(abs(found) - 1) < 1e-6])
        angles = np.sort(np.append(on_circle, angle))
        middles = (angles + np.append(angles[1:], angles[0] + 2 * np.pi)) / 2
        farther, turned = max((along(t), t) for t in (*middles, angle))
        if farther <= radius * (1 + 1e-12):
            return radius
        radius, angle = farther, turned
