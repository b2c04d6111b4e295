"""How Sphinx builds these pages: Markdown by MyST, the reference from docstrings, warnings as errors."""

from ollameter import __version__

project = "ollameter"
author = "The ollameter authors"
copyright = f"{author}, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
# Files of the repository that are no pages: a reader of the repository follows these links.
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"

html_theme = "furo"
html_title = f"ollameter {__version__}"
html_static_path: list[str] = []
