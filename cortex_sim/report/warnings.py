"""What a reader must know before believing a score, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
FAR = 4.0  # standard deviations over permutations: further out is no chance


def warnings_about(rows: Sequence[Row]) -> list[str]:
    """Sentences about controls that are not near zero or above the model, and scores above their ceiling."""
    found = []
    for row in rows:
        what = f"{row['recording']} {row['population']}, {row['data']}, {row['metric']}"
        shifted, untrained = row["control_shifted"], row["control_untrained"]
        if shifted is not None:
            level, spread = row["control_permuted"], row["permuted_sd"]
            if abs(shifted - level) > FAR * spread:
                found.append(
                    f"{what}: responses to the stimuli before score {shifted:.3f}, away from chance "
                    f"({level:.3f} ± {spread:.3f} with permuted stimuli): neighbouring stimuli are alike, or "
                    f"sorted; use grouped or blocked folds, and read the score against this one"
                )
            if row["raw"] - level < FAR * spread:
                found.append(
                    f"{what}: {row['raw']:.3f} is not clearly above chance ({level:.3f} ± {spread:.3f} with "
                    f"permuted stimuli)"
                )
        if untrained is not None and untrained >= row["score"]:
            found.append(
                f"{what}: the untrained network scores {untrained:.3f}, no less than the trained one's "
                f"{row['score']:.3f}: training did not bring it nearer to these data"
            )
        if row["convention"] != "raw" and row["score"] > 1:
            found.append(
                f"{what}: the ceiled score {row['score']:.3f} is above 1: the reliability is an estimate, "
                f"and was estimated too low"
            )
    return found
