"""A network as plain float64 arrays, settled by index lists: what the references compute on.

Every projection is one weight matrix (post, fan_in) applied at a list of places: ``sources[p]`` are
the pre units (or -1, silent) that place p reads. A dense projection has one place, a convolution one
for each output position, an identity one for each unit with the 1 x 1 matrix [[1]].
Post unit ``o * places + p`` is output o at place p, so units run (channel, row, column).
"""

from dataclasses import dataclass, field

import numpy as np


def _softplus(a):
    return np.logaddexp(0, a)


def _logistic(a):
    return np.exp(-np.logaddexp(0, -a))


# f, f', f^-1 by the class name of the declared activation (leaky ReLU with its default slope 0.1).
ACTIVATIONS = {
    "Linear": (lambda a: a, np.ones_like, lambda r: r),
    "LeakyRelu": (
        lambda a: np.maximum(a, 0.1 * a),
        lambda a: np.where(a > 0, 1.0, 0.1),
        lambda r: np.minimum(r, r / 0.1),
    ),
    "Relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0, None),
    "Tanh": (np.tanh, lambda a: np.cosh(a) ** -2, np.arctanh),
    "Logistic": (
        _logistic,
        lambda a: _logistic(a) * _logistic(-a),
        lambda r: np.log(r) - np.log1p(-r),
    ),
    "Softplus": (_softplus, _logistic, lambda r: np.log(np.expm1(r))),
}


@dataclass
class Link:
    pre: str
    post: str
    matrix: np.ndarray  # (outputs of one place, fan_in)
    sources: np.ndarray  # (place, fan_in) of pre units
    plastic: bool = True

    @property
    def name(self):
        return f"{self.pre}->{self.post}"

    def read(self, r):
        """(presentation, place, fan_in) from (presentation, pre unit)."""
        silent = np.zeros((len(r), 1))
        return np.concatenate([r, silent], axis=1)[:, self.sources]

    def drive(self, r):
        return self.to_units(np.einsum("npf,of->npo", self.read(r), self.matrix))

    def to_units(self, by_place):
        """(presentation, post unit) from (presentation, place, output)."""
        return by_place.transpose(0, 2, 1).reshape(len(by_place), -1)

    def to_places(self, by_unit):
        """(presentation, place, output) from (presentation, post unit)."""
        return by_unit.reshape(len(by_unit), -1, len(self.sources)).transpose(0, 2, 1)

    def scatter(self, u, b, pre_units):
        """B u of every place, (fan_in, output) each, added up where the places overlap."""
        delivered = np.einsum("npo,fo->npf", self.to_places(u), b)
        total = np.zeros((len(u), pre_units + 1))
        for place, sources in enumerate(self.sources):
            for entry, source in enumerate(sources):
                total[:, source] += delivered[:, place, entry]  # -1 collects what padding gets
        return total[:, :-1]

    def change(self, u, r):
        """<u r^T>, summed over places and meant over presentations."""
        return np.einsum("npo,npf->of", self.to_places(u), self.read(r)) / len(u)


@dataclass
class Graph:
    sizes: dict
    activation: dict
    links: list
    stimulus: str
    top: str
    bias: dict = field(default_factory=dict)  # by unit

    @property
    def order(self):
        done = [self.stimulus]
        while len(done) < len(self.sizes):
            done += [
                name
                for name in self.sizes
                if name not in done and all(k.pre in done for k in self.links if k.post == name)
            ]
        return done

    def settle(self, x):
        """Drives and rates by population, (presentation, unit)."""
        drives, rates = {}, {self.stimulus: x.reshape(len(x), -1)}
        for name in self.order[1:]:
            inputs = [link.drive(rates[link.pre]) for link in self.links if link.post == name]
            drives[name] = sum(inputs) + self.bias.get(name, 0)
            rates[name] = ACTIVATIONS[self.activation[name]][0](drives[name])
        return drives, rates

    def changes(self, credits, drives, rates):
        """<u r_pre^T> by link and <u> by population, u = c * f'(a)."""
        found = {}
        for name, c in credits.items():
            u = c * ACTIVATIONS[self.activation[name]][1](drives[name])
            found[name] = u.mean(0)
            for link in self.links:
                if link.post == name and link.plastic:
                    found[link.name] = link.change(u, rates[link.pre])
        return found


def conv_sources(shape, kernel, stride, padding):
    """Pre units under each position of a kernel, in the kernel's (channel, row, column) order."""
    channels, rows, columns = shape
    places = []
    for top in range(-padding, rows + padding - kernel + 1, stride):
        for left in range(-padding, columns + padding - kernel + 1, stride):
            under = []
            for channel in range(channels):
                for row in range(top, top + kernel):
                    for column in range(left, left + kernel):
                        inside = 0 <= row < rows and 0 <= column < columns
                        unit = (channel * rows + row) * columns + column
                        under.append(unit if inside else -1)
            places.append(under)
    return np.array(places)


def _values(tensor):
    return tensor.detach().double().numpy().copy()


def as_graph(model):
    """The graph of a built torch model: its numbers, none of its code."""
    net, links, bias = model.net, [], {}
    for p in net.bottom_ups:
        pre = net.populations[p.pre]
        kind = type(p.connector).__name__
        if kind == "Identity":
            links.append(Link(p.pre, p.post, np.ones((1, 1)), np.arange(pre.size)[:, None], plastic=False))
            continue
        w = _values(model.weights[p.name])
        c = p.connector
        if kind == "Conv2d":
            sources = conv_sources(pre.shape, c.kernel, c.stride, c.padding)
        else:
            sources = np.arange(pre.size)[None]
        links.append(Link(p.pre, p.post, w.reshape(len(w), -1), sources))
    for name, values in model.biases.items():
        population = net.populations[name]
        per_unit = population.size // len(values)
        bias[name] = np.repeat(_values(values), per_unit)
    return Graph(
        sizes={name: p.size for name, p in net.populations.items()},
        activation={name: type(p.activation).__name__ for name, p in net.populations.items()},
        links=links,
        stimulus=model.sources[0],
        top=model.top,
        bias=bias,
    )


def credit_of_labels(r, labels):
    """onehot - softmax(r)."""
    grown = np.exp(r - r.max(1, keepdims=True))
    return np.eye(r.shape[1])[labels] - grown / grown.sum(1, keepdims=True)
