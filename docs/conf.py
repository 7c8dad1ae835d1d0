"""Sphinx's settings for `make site`; website.py gathers the sources and calls Sphinx with this folder."""

from importlib.util import find_spec
from pathlib import Path

from docutils import nodes

project = "RDPD notebooks"
extensions = ["myst_nb"]
exclude_patterns = ["downloads"]

nb_execution_mode = "off"  # the site shows what is stored
nb_render_markdown_format = "myst"  # displayed Markdown holds tables, which plain CommonMark has not
nb_merge_streams = True  # one box for the lines of a training
nb_ipywidgets_js = {}  # else pages would ask a CDN for them
nb_code_prompt_show = "Code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "none"  # of what names no language

html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = False  # each page offers its notebook as a download
html_show_sphinx = False
html_show_copyright = False

# MathJax from a package instead of a CDN. As SVG: all in one file, while its other output fetches fonts, which browsers
# may refuse to pages opened from disk. (The package, used as an extension, would copy all of its 24 MB.)
html_static_path += [str(Path(find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg-full.js")]
mathjax_path = "tex-svg-full.js"


def setup(app) -> None:
    app.connect("doctree-resolved", own_size)


def own_size(app, tree: nodes.document, page: str) -> None:
    """Give pictures their size as attributes; Sphinx then links each to its file, where it is seen whole."""
    for image in tree.findall(nodes.image):
        image["scale"] = 100
