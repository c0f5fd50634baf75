import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.activations import Activation, Invertible
from cortex_sim.registry import make, names

ALL = [make("activation", name) for name in names("activation")] + [cs.LeakyRelu(slope=0.7)]
INVERTIBLE = [f for f in ALL if isinstance(f, Invertible)]
drives = st.floats(-3, 3)
every = pytest.mark.parametrize("f", ALL, ids=repr)
every_invertible = pytest.mark.parametrize("f", INVERTIBLE, ids=repr)


# Written out from the textbook, one number at a time.
TEXTBOOK = {
    "linear": lambda a: a,
    "leaky_relu": lambda a: a if a > 0 else 0.1 * a,
    "relu": lambda a: max(a, 0.0),
    "tanh": lambda a: (math.exp(a) - math.exp(-a)) / (math.exp(a) + math.exp(-a)),
    "logistic": lambda a: 1 / (1 + math.exp(-a)),
    "softplus": lambda a: math.log(1 + math.exp(a)),
}


def test_every_registered_activation_has_its_textbook_formula_here():
    assert set(TEXTBOOK) == set(names("activation"))


@pytest.mark.parametrize("name", TEXTBOOK)
@given(drives)
def test_rate_is_the_textbook_formula(name, a):
    rate = make("activation", name).rate(np.array([a]))
    np.testing.assert_allclose(rate, [TEXTBOOK[name](a)], atol=1e-14)


@every
@given(drives)
def test_gain_is_the_slope_of_the_rate(f, a):
    assume(abs(a) > 1e-3)  # a kink has no slope
    h = 1e-5
    slope = (f.rate(np.array([a + h])) - f.rate(np.array([a - h]))) / (2 * h)
    np.testing.assert_allclose(f.gain(np.array([a])), slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("f, gain", [(cs.Relu(), 0.0), (cs.LeakyRelu(), 0.1)], ids=repr)
def test_gain_at_a_kink_is_the_lower_slope_as_in_torch(f, gain):
    a = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    reference = {
        cs.Relu: torch.relu,
        cs.LeakyRelu: lambda a: torch.nn.functional.leaky_relu(a, 0.1),
    }
    reference[type(f)](a).backward()
    assert f.gain(np.zeros(1))[0] == a.grad[0] == gain


@every_invertible
@given(drives)
def test_drive_undoes_the_rate(f, a):
    np.testing.assert_allclose(f.drive(f.rate(np.array([a]))), [a], rtol=1e-9, atol=1e-12)


@every
def test_only_relu_has_no_inverse(f):
    assert isinstance(f, Activation)
    assert isinstance(f, Invertible) == f.invertible == (not isinstance(f, cs.Relu))


@every
@given(st.lists(drives, min_size=1, max_size=5))
def test_numpy_and_torch_agree(f, values):
    array, tensor = np.array(values), torch.tensor(values, dtype=torch.float64)
    for method in ("rate", "gain", "drive") if f.invertible else ("rate", "gain"):
        given_, back = (array, tensor) if method != "drive" else (f.rate(array), f.rate(tensor))
        with_numpy, with_torch = getattr(f, method)(given_), getattr(f, method)(back)
        np.testing.assert_allclose(with_torch.numpy(), with_numpy, rtol=1e-12, atol=1e-14)


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_stays_what_it_was(f, dtype):
    a = torch.linspace(-2, 2, 5, dtype=getattr(torch, dtype))
    assert f.rate(a).dtype == f.gain(a).dtype == a.dtype
    assert f.rate(a.numpy()).dtype == f.gain(a.numpy()).dtype == np.dtype(dtype)
    if f.invertible:
        assert f.drive(f.rate(a)).dtype == a.dtype


@every
def test_large_drives_neither_overflow_nor_warn(f):
    a = np.array([-1000.0, 1000.0])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite([f.rate(a), f.gain(a)]).all()


@pytest.mark.parametrize(
    "f, low, high", [(cs.Tanh(), -1, 1), (cs.Logistic(), 0, 1), (cs.Softplus(), 0, None)], ids=repr
)
def test_a_rate_out_of_range_is_read_as_the_nearest_inside(f, low, high):
    below = f.drive(np.array([low - 5.0, low]))
    assert np.isfinite(below).all() and below[0] == below[1] < -6
    if high is not None:
        above = f.drive(np.array([high + 5.0, high]))
        assert np.isfinite(above).all() and above[0] == above[1] > 6


@pytest.mark.parametrize("slope", [0, -0.1, math.nan, math.inf, "0.1", True])
def test_a_slope_must_be_positive(slope):
    with pytest.raises(cs.DeclarationError, match="LeakyRelu: slope must be a positive number"):
        cs.LeakyRelu(slope=slope)
