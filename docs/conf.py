"""Configuration of the site, which ``make docs`` builds into ``docs/_build/html``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

import protocol_gallery

import cortex_sim

project = "cortex-sim"
author = "The cortex-sim developers"
release = version = cortex_sim.__version__
language = "en"
smartquotes = False  # options have two hyphens, and strings straight quotes

extensions = [
    "api_pages",
    "command_line",
    "notation",
    "protocol_gallery",
    "repository_links",
    "rule_cards",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_static", "_templates", "extensions", "mathjax", "gallery/*.ipynb"]
suppress_warnings = ["config.cache"]  # functions and objects in this file are not kept between builds

# Links. Every reference to one of our objects must resolve; objects of other packages are named, not linked,
# so that a build needs no network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!cortex_sim(\.|$)).*")]
default_role = "autolink"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

# Docstrings.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc docstrings say types in words
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
add_module_names = False
python_maximum_signature_line_length = 80

# Scripts of protocols/ as pages.
sphinx_gallery_conf = protocol_gallery.CONFIGURATION

# Looks. Nothing here is fetched by a reader's browser.
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "cortex-sim"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
mathjax_path = "mathjax/tex-mml-chtml.js"
copybutton_exclude = ".linenos, .gp, .go"
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": ["page-toc"],
}
copyright = "The cortex-sim developers, BSD-3-Clause"
