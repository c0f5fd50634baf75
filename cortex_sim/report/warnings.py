"""What a reader must know before believing a score, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
NEAR_ZERO = 0.1  # a shifted control beyond this, and beyond a quarter of the score, is no chance


def warnings_about(rows: Sequence[Row]) -> list[str]:
    """Sentences about controls that are not near zero or above the model, and scores above their ceiling."""
    found = []
    for row in rows:
        what = f"{row['recording']} {row['population']}, {row['data']}, {row['metric']}"
        shifted, untrained = row["control_shifted"], row["control_untrained"]
        if shifted is not None and abs(shifted) > max(NEAR_ZERO, 0.25 * abs(row["raw"])):
            found.append(
                f"{what}: responses to the stimuli before score {shifted:.3f}, not near 0: neighbouring "
                f"stimuli are alike, or folds leak; use blocked or grouped folds"
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
