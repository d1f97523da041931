"""Depth as a Dyson series: its orders, the identities they obey, and its resummation."""

from headalgebra.dyson.graded import AffineBlock, GradedState
from headalgebra.dyson.hopf import antipode_residuals, chen_residuals
from headalgebra.dyson.orders import OrderNorms, dyson_orders, order_norms

__all__ = [
    "AffineBlock",
    "GradedState",
    "OrderNorms",
    "antipode_residuals",
    "chen_residuals",
    "dyson_orders",
    "order_norms",
]
