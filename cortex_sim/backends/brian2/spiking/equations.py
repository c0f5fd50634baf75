"""What brian2 integrates: membranes, readouts and the traces of synapses, as text, in the order of a step.

In a step membranes, readouts and traces decay; spikes arrive, from sources those of this step, from other
units those of the step before; units that spiked are reset; ψ is computed; new spikes reach the readout at
once; its error becomes the learning signal, which multiplies the traces. This is the order of the equations
of Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Methods, in place of brian2's own, which resets
within the step.
"""

from __future__ import annotations

SCHEDULE = ["start", "groups", "synapses", "resets", "thresholds", "end"]
READ_OUT = "after_thresholds"  # when spikes reach the readout
JUDGED, DELIVERED, LEARNED = 0, 1, 2  # orders within the slot "end"

SOURCE = "shown : 1"
EMITS = "shown > 0.5"

UNIT = """
dv/dt = (-v + bias * threshold) / tau : volt
psi : 1
c : 1
bias : 1 (constant)
""".strip()
FIRES, RESET = "v > threshold", "v -= threshold"
SURROGATE = "psi = dampening * clip(1 - abs(v - threshold) / threshold, 0, 1) * int(not_refractory)"

READOUT = """
dy/dt = (-y + bias) / tau : 1
c : 1
bias : 1 (constant)
""".strip()

#: Traces of a bias that learns, which is a synapse from a unit that is always active.
BIAS = "depsilon_bias/dt = -epsilon_bias / tau_epsilon : 1\nchange_bias : 1"
BIAS_TRACE = "epsilon_bias += leak"
BIAS_OF_UNIT = "de_bar_bias/dt = -e_bar_bias / tau_e_bar : 1"

#: Effects of a spike on units and on the readout; synapses that learn also have traces.
ONTO_UNIT, ONTO_READOUT = "v_post += w * threshold", "y_post += w"
WEIGHT = "w : 1"
TRACE = "depsilon/dt = -epsilon / tau_epsilon : 1 (clock-driven)\nchange : 1"
FILTER = "de_bar/dt = -e_bar / tau_e_bar : 1 (clock-driven)"
MEETS_SPIKE = "epsilon += 1"

LEARN_UNIT = "e_bar += psi_post * epsilon\nchange += c_post * e_bar"
LEARN_READOUT = "change += c_post * epsilon"
LEARN_BIAS_OF_UNIT = "e_bar_bias += psi * epsilon_bias\nchange_bias += c * e_bar_bias"
LEARN_BIAS_OF_READOUT = "change_bias += c * epsilon_bias"
#: In addition, where firing rates are regularised.
SUM, SUM_OF_BIAS = "e_sum : 1", "e_sum_bias : 1"
ADD_UP, ADD_UP_BIAS = "\ne_sum += psi_post * epsilon", "\ne_sum_bias += psi * epsilon_bias"

FEEDBACK = "b : 1 (constant)\nc_post = b * c_pre : 1 (summed)"
