"""A figure as SVG within the page: it follows the page's colours and width, and fetches nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any
from xml.etree import ElementTree

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

from cortex_sim.html_report.colours import following
from cortex_sim.html_report.content import Picture
from cortex_sim.viz.panels import COLOURS

_DRAWING = RLock()  # matplotlib's settings are those of the process
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be selected, and follows the page's font
    "svg.hashsalt": "cortex-sim",
    "text.parse_math": False,  # a run may be called "a$b$"
    "axes.prop_cycle": cycler(color=list(COLOURS)),
    "font.size": 10.0,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_POINT = 4 / 3  # CSS pixels


@contextmanager
def drawing() -> Iterator[None]:
    """Within it figures are drawn for the page, by one thread at a time."""
    with _DRAWING, matplotlib.rc_context(_STYLE):
        yield


def picture(draw: Callable[[], Figure], caption: str, said: str, name: str, raster: bool = False) -> Picture:
    """A figure as an SVG element.

    Parameters
    ----------
    draw : callable
        Makes the figure.
    caption : str
        Text above it.
    said : str
        Describes it to those who do not see it.
    name : str
        Unique in the page; a letter, then letters, digits or "-".
    raster : bool, default False
        Draw lines and areas as an image: as vectors, very many points would take megabytes.
    """
    page = io.BytesIO()
    with drawing():
        figure = draw()
        for axes in figure.axes if raster else []:
            for artist in (*axes.lines, *axes.collections):
                artist.set_rasterized(True)
        figure.savefig(page, format="svg", transparent=True, metadata=_NO_METADATA, dpi=144)
    root = ElementTree.fromstring(page.getvalue())
    _without_namespaces(root)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    width = float(str(root.attrib.pop("width")).removesuffix("pt")) * _POINT
    root.attrib.pop("height")
    root.attrib.pop("version", None)
    for element in root.iter():
        _adapt(element, name)
    title = ElementTree.Element("title", {"id": f"{name}-title"})
    title.text = said
    root.insert(0, title)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    return Picture(ElementTree.tostring(root, encoding="unicode"), caption, round(width))


def _without_namespaces(root: ElementTree.Element) -> None:
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): value for key, value in element.attrib.items()}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _adapt(element: ElementTree.Element, name: str) -> None:
    """Give an element identifiers that are unique in the page, and the page's font and colours."""
    for key, value in element.attrib.items():
        if key == "id":
            value = f"{name}-{value}"
        elif key == "href" and value.startswith("#"):
            value = f"#{name}-{value[1:]}"
        elif key == "style":
            value = following(re.sub(r"(font: [^;]*?px) [^;]*", r"\1 var(--sans)", value))
        elif key in ("fill", "stroke"):
            value = following(value)
        element.attrib[key] = re.sub(r"url\(#", f"url(#{name}-", value)
