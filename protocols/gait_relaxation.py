"""GAIT-prop's credit relaxes to the inverse
=========================================

GAIT-prop's credit relaxes to W⁺u by a loop, at the rate of W's smallest singular value.

GAIT-prop: Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438.

Question and prediction
-----------------------

:doc:`GAIT-prop </rules/gait_prop>` needs W⁺u below, where u is the credit above. Can a circuit without
matrix inversion deliver it, and how fast? An error population compares u with what the apical state c would
cause, and sends the difference down (Podlaski & Machens 2020, arXiv 2007.05112, here damped and with B =
Wᵀ): τ dc/dt = −αc + Wᵀ(u − Wc).

Prediction: c tends to the damped inverse Wᵀ(WWᵀ + αI)⁻¹u. Along a direction with singular value σ the error
falls at the rate (σ² + α)/τ, so finally at that of the smallest one: the error is down to 1 % after at most
ln(100)·τ/(σ²_min + α), and after exactly that if all singular values are equal. **Control**: with transpose
feedback, τ dc/dt = −c + Wᵀu, credit settles after ln(100)·τ = 46 ms whatever W is, but to Wᵀu, which is not
the inverse.

What is modelled, and what is not
---------------------------------

16 V1 and 8 IT units, all linear, without input: rates stay zero and the goal of IT is the demand itself,
eight random ones in parallel. V1->IT has random directions and singular values spaced geometrically between
gain/spread and gain. τ = 10 ms, α = 0.001, dt = 0.25 ms. Not modelled: learning (weights are constant),
delays in the loop, and how the three copies of W that the loop holds (upward, in the error population, and
its transpose) stay equal. No claim is made that there is no weight transport; see
:doc:`the learned inverse </gallery/learned_inverse>` for that.

Run it
------

.. code-block:: none

   python protocols/gait_relaxation.py          # recording, figure, table
   cortex-sim simulate gait_relaxation --backend brian2 --out relaxation.nc

About 7 s of one thread for all 18 arms.

Result
------

.. image:: /figures/gait_relaxation.png
   :alt: Distance to the inverse over time, and time to settle against spread and gain

By the first command, seed 0 (times in ms, rates in 1/s; rates between errors of 10⁻³ and 10⁻⁵):

.. csv-table::
   :delim: |
   :header-rows: 1

   weights | time to 1 %: measured, predicted at most | late rate: measured, predicted | "transpose: time
   to 1 % of its end, its distance from the inverse"
   orthogonal, gain 1 | 45.4, 46.0 | 101, 100 | 45.5, 0.001
   spread 1.4 | 78.8, 90.1 | 52.9, 51.1 | 45.5, 0.36
   spread 2 | 158, 184 | 25.4, 25.1 | 45.5, 0.61
   spread 2.8 | 310, 358 | 12.9, 12.9 | 45.5, 0.77
   spread 4 | 634, 725 | 6.36, 6.35 | 45.5, 0.87
   orthogonal, gain 0.5 | 183, 184 | 25.2, 25.1 | 45.5, 0.75
   orthogonal, gain 0.7 | 93.2, 93.8 | 49.4, 49.1 | 45.5, 0.51
   orthogonal, gain 1.4 | 22.9, 23.5 | 201, 196 | 45.5, 0.96
   orthogonal, gain 2 | 10.9, 11.5 | 422, 400 | 45.5, 3.0

Distances are relative to the length of the inverse's credit. The inverse is reached to 2·10⁻⁶ in 2 s where
the spread is 4 and to rounding elsewhere. The excess over the predicted rates is due to the time step:
explicit Euler decays at −ln(1 − λdt)/dt, which for gain 2 is 421 instead of λ = 400. Strong weights help
only to a limit: dt must stay below 2τ/(σ²_max + α), and the transpose is right only where all singular
values are 1.

Credit by dynamic inversion is thus fast where weights are nearly orthogonal, and a spread of four makes it
fourteen times slower: orthogonality saves time, in addition to making GAIT-prop's update equal to
backpropagation's.

What would refute it
--------------------

An end other than the damped inverse, a time to 1 % above the bound, or a late rate more than 5 % off −ln(1
− λdt)/dt. Asserted by ``tests/protocols/test_gait_relaxation.py`` (``-m slow``).
"""

from itertools import product

import numpy as np

import cortex_sim as cs

BELOW, ABOVE, DEMANDS = 16, 8, 8  # units of V1 and of IT, and demands u in one batch
TAU_MS, DAMPING = 10.0, 1e-3
SPREADS = (1.0, 1.4, 2.0, 2.8, 4.0)  # largest over smallest singular value; the largest is 1
GAINS = (0.5, 0.7, 1.0, 1.4, 2.0)  # every singular value
CASES = [(spread, 1.0) for spread in SPREADS] + [(1.0, gain) for gain in GAINS if gain != 1.0]
WAYS = ("inverse", "transpose")


def name_of(way: str, spread: float, gain: float) -> str:
    """Arm of one kind of feedback and one set of weights."""
    return f"{way}, spread {spread:g}, gain {gain:g}"


def weights(spread: float, gain: float, seed: int) -> np.ndarray:
    """V1->IT of shape (above, below): random directions, singular values from gain/spread to gain."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(ABOVE, ABOVE)))
    right, _ = np.linalg.qr(rng.normal(size=(BELOW, ABOVE)))
    return gain * (left * np.geomspace(1, 1 / spread, ABOVE)) @ right.T


def demands(seed: int) -> np.ndarray:
    """Credit u that IT sends down, (presentation, unit)."""
    return np.random.default_rng([seed, 1]).normal(size=(DEMANDS, ABOVE))


def network(way: str, spread: float, gain: float, seed: int) -> cs.Network:
    """Linear populations without input: rates stay zero, so the demand is the goal itself."""
    net = cs.Network("relaxation")
    retina = net.population("retina", BELOW)
    v1 = net.population("V1", BELOW, activation="linear", bias=False)
    it = net.population("IT", ABOVE, activation="linear", bias=False)
    net.bottom_up(retina, v1, plasticity=cs.GaitProp() if way == "inverse" else cs.Backprop())
    up = net.bottom_up(v1, it, cs.Dense(init=weights(spread, gain, seed)))
    feedback = cs.Inverse(of=up, damping=DAMPING) if way == "inverse" else cs.Transpose(of=up)
    net.top_down(it, v1, feedback=feedback)
    net.objective(it, cs.SquaredError())
    return net


def experiment(seed: int = 0) -> cs.Experiment:
    """One kind of feedback and one set of weights per arm; the same demands."""
    protocol = cs.Protocol(
        cs.Phase("demand", duration_ms=2000, drive={"retina": 0}, nudge={"IT": demands(seed)}),
        batch=DEMANDS,
        record=cs.Record(variables=["credit"], populations=["V1"], every_ms=4),
    )
    arms = {
        name_of(way, *case): cs.Arm(protocol, network(way, *case, seed)) for way, case in product(WAYS, CASES)
    }
    first = next(iter(arms.values())).network
    return cs.Experiment(first, arms, dt_ms=0.25, apical_tau_ms=TAU_MS)


def fixed_point(way: str, spread: float, gain: float, seed: int) -> np.ndarray:
    """Fixed point of credit, (presentation, unit): the damped inverse of the demands, or their transpose."""
    w, u = weights(spread, gain, seed), demands(seed)
    return u @ (np.linalg.solve(w @ w.T + DAMPING * np.eye(ABOVE), w) if way == "inverse" else w)


def relative_error(recording, way: str, spread: float, gain: float, to: str = "inverse"):
    """Times in ms, and distance of V1's credit to a fixed point relative to its length, each (time bin,)."""
    target = fixed_point(to, spread, gain, recording.attrs["seed"])
    arm = cs.recording.select(recording, arm=name_of(way, spread, gain), population="V1")
    missing = arm["credit"].transpose("time_bin", "presentation", "neuroid").values - target
    return arm["time_bin_end"].values, np.linalg.norm(missing, axis=(1, 2)) / np.linalg.norm(target)


def time_to(times: np.ndarray, errors: np.ndarray, level: float) -> float:
    """First time at which the error is down to a level, interpolated exponentially; else infinite."""
    if errors.min() > level:
        return np.inf
    end = int(np.argmax(errors <= level))
    before, after = (0.0, times[0]) if end == 0 else (times[end - 1], times[end])
    high, low = np.log(1.0 if end == 0 else errors[end - 1]), np.log(errors[end])
    return before + (after - before) * (high - np.log(level)) / (high - low)


def predicted_rate(way: str, spread: float, gain: float) -> float:
    """Rate of the slowest direction, in 1/ms: (σ²_min + α)/τ, or 1/τ with the transpose."""
    return ((gain / spread) ** 2 + DAMPING if way == "inverse" else 1.0) / TAU_MS


def statistics(recording) -> dict[str, dict[str, float]]:
    """Time to 1 % of the fixed point, late rate of decay, both predictions, distance to the inverse."""
    found = {}
    for way, case in product(WAYS, CASES):
        times, errors = relative_error(recording, way, *case, to=way)
        late = time_to(times, errors, 1e-5) - time_to(times, errors, 1e-3)
        rate = predicted_rate(way, *case)
        found[name_of(way, *case)] = {
            "ms to 1 %": time_to(times, errors, 0.01),
            "predicted, at most": np.log(100) / rate,
            "late rate, 1/s": 1000 * np.log(100) / late,
            "predicted rate, 1/s": 1000 * rate,
            "from the inverse at the end": relative_error(recording, way, *case)[1][-1],
        }
    return found


def figure(recording):
    """Distance to the inverse over time; time to settle against spread and against gain."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.4)
    course, by_spread, by_gain = drawn.subplots(1, 3, width_ratios=[1.5, 1, 1])
    for spread, colour in zip(SPREADS, COLOURS, strict=False):
        for way, style in zip(WAYS, ("-", "--"), strict=True):
            times, errors = relative_error(recording, way, spread, 1.0)
            if (way, spread) != ("transpose", 1.0):  # the same as the inverse except for damping
                label = f"{spread:g}" if way == "inverse" else None
                course.semilogy(times, errors, color=colour, ls=style, label=label)
    course.axhline(0.01, color="0.6", lw=1, ls=":")
    plain(course, "time (ms)", "distance of credit to the inverse, relative")
    course.set(xlim=(0, 800), ylim=(1e-4, 20))
    title = "σ_max / σ_min; dashed: transpose"
    course.legend(frameon=False, title=title, title_fontsize=9, fontsize=9, ncols=5, loc="upper right")

    numbers = statistics(recording)
    for axes, values, case in (
        (by_spread, SPREADS, lambda x: (x, 1.0)),
        (by_gain, GAINS, lambda x: (1.0, x)),
    ):
        dense = np.geomspace(values[0], values[-1], 50)
        for way, style, colour in zip(WAYS, ("-", "--"), COLOURS, strict=False):
            expected = [np.log(100) / predicted_rate(way, *case(x)) for x in dense]
            measured = [numbers[name_of(way, *case(x))]["ms to 1 %"] for x in values]
            axes.loglog(dense, expected, color=colour, lw=1, ls=style)
            axes.loglog(values, measured, "o", color=colour, mfc=colour if style == "-" else "w", label=way)
        axes.set_xticks(values, [f"{x:g}" for x in values])
        axes.minorticks_off()
        ticks = (10, 20, 50, 100, 200, 500, 1000)
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.set_ylim(8, 1000)
    plain(by_spread, "spread, σ_max / σ_min", "time to 1 % of the end (ms)")
    plain(by_gain, "gain of orthogonal weights", "time to 1 % of the end (ms)")
    by_spread.legend(frameon=False, fontsize=9, title="lines: predicted", loc="lower left")
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("gait_relaxation", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
