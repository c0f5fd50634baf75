"""The page itself: all sections through one template, with the style sheet inside it."""

from __future__ import annotations

import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from cortex_sim.html_report.colours import reference, variables
from cortex_sim.html_report.content import Key, Section
from cortex_sim.html_report.learning import credit, curves
from cortex_sim.html_report.networks import networks
from cortex_sim.html_report.outer_loops import OuterLoop
from cortex_sim.html_report.overview import overview
from cortex_sim.html_report.projections import ANGLES, ORTHOGONALITY, by_projection
from cortex_sim.html_report.reading import Found
from cortex_sim.html_report.settings_tables import settings, versions
from cortex_sim.html_report.training_runs import TrainingRun

#: Nothing is fetched, whatever a name or a setting contains.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_DASHES = {"-": "none", "--": "6 3", ":": "2 2", "-.": "6 2 2 2"}


def page(found: Found, present: int = 0, script: str = "", policy: str = POLICY) -> str:
    """The whole page.

    Parameters
    ----------
    found : Found
    present : int
        Stimuli presented to each network for its responses; 0 for none.
    script : str
        Of a page that is served during a run.
    policy : str
        What the browser may load.
    """
    sections = [one for one in _sections(found, present) if one.sentences or one.pictures or one.tables]
    names = [one.name for one in found.all]
    return _template().render(
        title=", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more",
        count=len(names),
        sections=sections,
        light=variables(dark=False),
        dark=variables(dark=True),
        style=files("cortex_sim.html_report").joinpath("report.css").read_text("utf-8"),
        policy=policy,
        script=script,
        written=f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        version=_version(),
    )


def _sections(found: Found, present: int) -> list[Section]:
    sections = [overview(found)]
    if found.runs:
        from cortex_sim.html_report.responses import responses

        sections += [networks(found.runs), curves(found.runs)]
        sections += [by_projection(measure, found.runs) for measure in (ANGLES, ORTHOGONALITY)]
        sections += [credit(found.runs), responses(found.runs, present)]
    if found.outer_loops:
        from cortex_sim.html_report.outer_sections import outer_loops

        sections.append(outer_loops(found.outer_loops))
    if found.recordings:
        from cortex_sim.html_report.recording_sections import recordings

        sections.append(recordings(found.recordings))
    if found.comparisons:
        from cortex_sim.html_report.comparison_sections import comparisons

        sections.append(comparisons(found.comparisons))
    started: list[TrainingRun | OuterLoop] = [*found.runs, *found.outer_loops]
    if started:
        sections += [settings(found.runs, found.outer_loops), versions(started)]
    return sections


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("cortex_sim.html_report", ".")
    place = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    place.globals["stroke"] = _stroke
    return place.get_template("report.html.jinja")


def _stroke(key: Key) -> dict[str, Any]:
    """How the sample of a line in a legend is drawn."""
    return {"colour": reference(key.look.colour), "dashes": _DASHES[key.look.dash]}


def _version() -> str:
    from cortex_sim import __version__

    return __version__
