"""Projections as autograd operations whose backward pass carries credit through B, not W.

Autograd's gradient is minus the credit, and both recursions are linear, so that signs agree:
``backward`` receives −u/n, and returns −(B u)/n for the rates and −⟨u r_preᵀ⟩ for the weights.
So optimisers, schedulers and the hooks of DistributedDataParallel work as with any other model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cortex_sim.operators.grouping import change_of_feedback

_convolution_backward = torch.ops.aten.convolution_backward


class DenseWithFeedback(torch.autograd.Function):
    """a = W r + b upward, c = B u downward; W (post, pre), B (pre, post)."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, w: Tensor, bias: Tensor | None, b: Tensor, rule: Any) -> Tensor:
        """Drive of shape (presentation, post)."""
        ctx.save_for_backward(r, b)
        ctx.rule = rule
        return F.linear(r, w, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of r, w, bias and (for a rule that reads credit) of B."""
        (g,) = grads
        r, b = ctx.saved_tensors
        need_r, need_w, need_bias, need_b, _ = ctx.needs_input_grad
        grad_r = g @ b.T if need_r else None
        grad_w = g.T @ r if need_w else None
        grad_bias = g.sum(0) if need_bias else None
        grad_b = -ctx.rule.change(b, g * -len(g), r) if need_b and ctx.rule is not None else None
        return grad_r, grad_w, grad_bias, grad_b, None


class DenseWithInverse(torch.autograd.Function):
    """a = W r + b upward, c = W⁺u downward, W⁺ = WᵀM or MWᵀ with M of `inverse.gram_inverse`.

    A number in place of M means that multiple of the identity.
    """

    @staticmethod
    def forward(ctx: Any, r: Tensor, w: Tensor, bias: Tensor | None, m: Tensor | float) -> Tensor:
        """Drive of shape (presentation, post)."""
        ctx.number = m if isinstance(m, float) else None
        ctx.save_for_backward(r, w, None if isinstance(m, float) else m)
        return F.linear(r, w, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of r, w and bias."""
        (g,) = grads
        r, w, m = ctx.saved_tensors
        need_r, need_w, need_bias, _ = ctx.needs_input_grad
        grad_r = None
        if need_r and ctx.number is not None:
            grad_r = g @ w if ctx.number == 1 else (g * ctx.number) @ w
        elif need_r:
            grad_r = (g @ m) @ w if w.shape[0] <= w.shape[1] else (g @ w) @ m
        grad_w = g.T @ r if need_w else None
        grad_bias = g.sum(0) if need_bias else None
        return grad_r, grad_w, grad_bias, None


class ConvWithFeedback(torch.autograd.Function):
    """Convolution with W upward, transposed convolution with B downward; both have the kernel's shape."""

    @staticmethod
    def forward(
        ctx: Any,
        r: Tensor,
        w: Tensor,
        bias: Tensor | None,
        b: Tensor,
        operator: Any,
        rule: Any,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> Tensor:
        """Drive of shape (presentation, C_out, row, column)."""
        ctx.save_for_backward(r, w, b)
        ctx.operator, ctx.rule = operator, rule
        ctx.steps = stride, padding, dilation, groups
        return F.conv2d(r, w, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of r, w, bias and (for a rule that reads credit) of B."""
        (g,) = grads
        r, w, b = ctx.saved_tensors
        need_r, need_w, need_bias, need_b = ctx.needs_input_grad[:4]
        stride, padding, dilation, groups = ctx.steps
        fixed = ([w.shape[0]], stride, padding, dilation, False, [0, 0], groups)
        grad_r = grad_w = grad_bias = grad_b = None
        if need_w or need_bias:
            _, grad_w, grad_bias = _convolution_backward(g, r, w, *fixed, [False, need_w, need_bias])
        if need_r:
            grad_r, _, _ = _convolution_backward(g, r, b, *fixed, [True, False, False])
        if need_b and ctx.rule is not None:
            op = ctx.operator
            u = op.by_place((g * -len(g)).flatten(1))
            grad_b = -change_of_feedback(op, ctx.rule, b, u, op.patches(r.flatten(1)))
        return grad_r, grad_w, grad_bias, grad_b, *[None] * 6


class ThroughOperator(torch.autograd.Function):
    """W r upward and B u downward of any operator, place by place; W and B in their own shapes."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, w: Tensor, b: Tensor, operator: Any, rule: Any) -> Tensor:
        """Drive of shape (presentation, post unit), from r (presentation, pre unit)."""
        ctx.save_for_backward(r, b)
        ctx.operator, ctx.rule, ctx.shape = operator, rule, w.shape
        up: Tensor = operator.up(r, operator.matrix(w))
        return up

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of r, w and (for a rule that reads credit) of B."""
        (g,) = grads
        r, b = ctx.saved_tensors
        operator = ctx.operator
        need_r, need_w, need_b = ctx.needs_input_grad[:3]
        down = operator.feedback_matrix(b)
        grad_r = operator.down(g, down.T) if need_r else None
        grad_w = grad_b = None
        if need_w:
            grad_w = (operator.by_place(g).mT @ operator.patches(r)).reshape(ctx.shape)
        if need_b and ctx.rule is not None:
            u = operator.by_place(g * -len(g))
            grad_b = -change_of_feedback(operator, ctx.rule, b, u, operator.patches(r))
        return grad_r, grad_w, grad_b, None, None


class CreditPath(torch.autograd.Function):
    """A top-down projection without a paired bottom-up one: adds nothing upward, c = B u downward."""

    @staticmethod
    def forward(ctx: Any, a_pre: Tensor, r_post: Tensor, b: Tensor) -> Tensor:
        """The drive of the population that sends, unchanged."""
        ctx.save_for_backward(b)
        ctx.shape = r_post.shape
        return a_pre.view_as(a_pre)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The sender's gradient, and its product with B for the receiver's rates."""
        (g,) = grads
        (b,) = ctx.saved_tensors
        return g, (g.flatten(1) @ b.T).reshape(ctx.shape), None
