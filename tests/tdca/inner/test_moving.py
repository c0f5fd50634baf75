"""The written-out backward pass is that of the forward lines."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.tdca.inner.moving import Moved


@given(st.sampled_from([(1, 2, 3), (3, 5, 2)]), st.integers(1, 500))
@settings(max_examples=10, deadline=None)
def test_backward_is_the_gradient_of_forward(shape, step):
    generator = torch.Generator().manual_seed(step)

    def drawn(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    w, g, m = (drawn(*shape).requires_grad_() for _ in range(3))
    v = (drawn(*shape) ** 2 + 0.1).requires_grad_()
    eta = [drawn(shape[0], 1, 1).requires_grad_() for _ in range(2)]
    after = torch.full((shape[0], 1, 1), float(step), dtype=torch.float64)
    factor = (1 - 0.9**after) ** 2
    k, q = 1e-12 * factor, factor / (1 - 0.99**after)
    assert torch.autograd.gradcheck(lambda *x: Moved.apply(*x, k, q, 0.9, 0.99), (w, g, m, v, *eta))
    alone = Moved.apply(w, g, m, v, *eta, k, q, 0.9, 0.99)
    for output in alone:  # a last step's means lead nowhere: each output by itself has a gradient too
        found = torch.autograd.grad(output.sum(), [w, g, m, v, *eta], retain_graph=True, allow_unused=True)
        assert any(f is not None and f.abs().sum() > 0 for f in found)


def test_forward_is_adam_and_the_plain_step_together():
    w, g = torch.full((1, 1, 1), 2.0).double(), torch.full((1, 1, 1), 0.5).double()
    zero, one = torch.zeros(1, 1, 1).double(), torch.ones(1, 1, 1).double()
    k, q = zero, (1 - 0.9) ** 2 / (1 - 0.99) * one
    moved, m, v = Moved.apply(w, g, zero, zero, 0.1 * one, 0.01 * one, k, q, 0.9, 0.99)
    first = torch.tensor(2.0 + 0.1 * 0.5 + 0.01)  # Adam's first step has length 1
    assert torch.allclose(moved, first.double())
    assert torch.allclose(m, 0.1 * g) and torch.allclose(v, 0.01 * g * g)
