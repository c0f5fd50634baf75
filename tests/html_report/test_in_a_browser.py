"""The page of ``cortex-sim report`` in headless Chromium: phone and screen, light and dark, on paper."""

import re

import pytest
from headless_browser import Browser, executable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(executable() is None, reason="no Chromium; apt-get install chromium"),
]
FIGURES = """[...document.querySelectorAll("figure > svg")].map(svg => {
  const box = svg.getBoundingClientRect();
  const drawn = svg.getBBox();
  return {width: box.width, height: box.height, left: box.left, right: box.right,
          drawn: drawn.width * drawn.height,
          caption: svg.closest("figure").querySelector("figcaption").textContent};
})"""
# Contrast of every piece of text to the ground below it, WCAG 2.2.
CONTRAST = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.textContent.trim() || element.tagName == "title" || !element.getClientRects().length) continue;
    const words = parts(element instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [light(words), light(ground(element))].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), node.textContent.trim().slice(0, 40)]);
  }
  return found;
})()"""

TABLE, SEEN = 'document.querySelector("details .table")', "{contentVisibilityAuto: true}"
# What is skipped on the screen is laid out when the next frame is drawn.
WAIT = f"""(async () => {{
  for (let tries = 0; tries < 100 && !{TABLE}.checkVisibility({SEEN}); tries++)
    await new Promise(done => setTimeout(done, 50));
  return {TABLE}.checkVisibility({SEEN});
}})()"""


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(everything, tmp_path_factory):
    place = tmp_path_factory.mktemp("browser") / "page.html"
    place.write_text(everything[0], encoding="utf-8")
    return place.as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_figures_are_seen_within_the_page(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.errors == []
    assert browser.requests == [page]
    across = browser.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert across[0] <= across[1] == width
    figures = browser.evaluate(FIGURES)
    assert len(figures) >= 14
    for one in figures:
        assert one["width"] > 150 and one["height"] > 80 and one["drawn"] > 0, one
        assert one["left"] >= 0 and one["right"] <= across[0], one


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read(browser, page, dark):
    browser.open(page, dark=dark)
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)")
    found = browser.evaluate(CONTRAST)
    assert len(found) > 300
    assert [one for one in found if one[0] < 4.5] == []


def test_samples_of_lines_in_legends_are_small(browser, page):
    browser.open(page)
    boxes = '[...document.querySelectorAll(".legend svg")].map(s => s.getBoundingClientRect().width)'
    sizes = browser.evaluate(boxes)
    assert len(sizes) >= 8 and set(sizes) == {30}
    assert browser.evaluate('document.querySelectorAll("figure .legend svg").length') == 1


def test_text_of_figures_keeps_its_size_on_a_phone(browser, page):
    browser.open(page, width=390)
    sizes = browser.evaluate(
        '[...document.querySelectorAll("#curves svg text")].map(t => t.getBoundingClientRect().height)'
    )
    assert sizes and min(sizes) >= 11


def test_it_is_printed_light_with_everything_in_it(browser, page):
    browser.open(page, dark=True)
    printed = browser.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1
    assert browser.printed("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate(f"{TABLE}.checkVisibility({SEEN})") is False
    assert browser.printed(WAIT) is True


def test_a_defect_is_seen(browser, tmp_path):
    """What the tests above rely on: errors, requests, contrast and what is too wide are noticed."""
    bad = '<svg width="2000" height="9"><rect width="2000" height="9"/></svg><figcaption>wide</figcaption>'
    text = f'<body style="background: #fff"><p style="color: #bbb">faint</p><figure>{bad}</figure>'
    text += '<img src="gone.png"><script>console.error("said")</script><script>nope()</script>'
    (tmp_path / "bad.html").write_text(text, encoding="utf-8")
    browser.open((tmp_path / "bad.html").as_uri(), width=390)
    assert len(browser.errors) >= 3 and browser.requests[-1].endswith("gone.png")
    assert browser.evaluate("document.documentElement.scrollWidth") > 390
    assert browser.evaluate(FIGURES)[0]["right"] > 390
    assert [said for contrast, said in browser.evaluate(CONTRAST) if contrast < 4.5] == ["faint"]
