"""What a page holds, read independently of how it was made: tables, figures, and what it would fetch."""

import re
from html.parser import HTMLParser

FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "ping"}


class Parsed(HTMLParser):
    """A page read once.

    Attributes
    ----------
    tables : dict of caption to {head of row: cells}
        A cell is its text and its exact value, None where there is none.
    columns : dict of caption to list of str
    sections : dict of identifier to text
    figures : dict of caption to what is said of the figure
    identifiers : list of str
    fetched : list of str
        Addresses that a browser would request, those within the page left out.
    """

    def __init__(self, text):
        super().__init__()
        self.tables, self.columns, self.sections, self.figures = {}, {}, {}, {}
        self.identifiers, self.fetched, self.marked = [], [], []
        self._open, self._text, self._row = [], {}, None
        self.feed(text)
        style = " ".join(
            re.findall(r"<style>(.*?)</style>", text, re.S) + re.findall(r'style="([^"]*)"', text)
        )
        self.fetched += re.findall(r"url\(\s*['\"]?(?!#|data:)([^)]*)", style) + re.findall(
            r"@import.*", style
        )

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.identifiers += [given["id"]] if "id" in given else []
        for key, value in given.items():
            linked = tag != "a" and key.endswith("href")
            if (key in FETCHING or linked) and not value.startswith(("#", "data:")):
                self.fetched.append(value)
        if tag == "section":
            self.sections[given["id"]] = ""
        if tag == "tr":
            self._row = [given.get("class") == "marked"]
        self._text[tag] = ""
        self._open.append((tag, given))

    def handle_data(self, data):
        for tag, _ in self._open:
            self._text[tag] += data
        if self.sections:
            self.sections[list(self.sections)[-1]] += data

    def handle_endtag(self, tag):
        while self._open and self._open[-1][0] != tag:
            self._open.pop()
        _, given = self._open.pop()
        text = " ".join(self._text[tag].split())
        if tag == "caption":
            self._caption = text
            self.tables[text], self.columns[text] = {}, []
        elif tag in ("th", "td"):
            value = given.get("data-value")
            self._row.append((text, None if value is None else float(value)))
        elif tag == "tr":
            marked, *cells = self._row
            if not self.columns[self._caption]:
                self.columns[self._caption] = [text for text, _ in cells]
            else:
                head = cells[0][0].removesuffix(" ≠")
                self.tables[self._caption][head] = cells[1:]
                self.marked += [head] if marked else []
        elif tag == "figcaption":
            self._figure = text
        elif tag == "title" and self._open[-1][0] == "svg":
            self.figures[self._figure] = text
