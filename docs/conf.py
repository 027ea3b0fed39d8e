"""How Sphinx builds the documentation: `make docs`; nothing is fetched, at the build or by the pages."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import admin_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

# Sphinx reads below its own folder only.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks")

project = "admin-py"
author = "admin-py developers"
copyright = "the admin-py developers, MIT licence"
version = release = admin_py.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "command_line",  # this and the next are in docs/_ext
    "svg_math",
]
# Formulas are drawn into the pages by svg_math, so that they need no script from elsewhere.
html_math_renderer = "svg"

root_doc = "index"
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# Python objects
autosummary_generate = True
autosummary_ignore_module_all = False  # what __all__ names is public
autosummary_context = {"top": admin_py.__all__}  # shown once, where users find them
autodoc_typehints = "none"  # the documentation strings name types and shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them
default_role = "autolink"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

nitpick_ignore_regex = [("py:obj", ".*")]  # single backticks name arguments too; roles are checked

# Markdown and notebooks; notebooks are shown as they were executed, see tools/execute_notebooks.py.
# Pages that say so (guide.md) are executed at every build, by kernels, which show pictures in their own way.
nb_execution_mode = "off"
nb_execution_raise_on_error = True
os.environ.pop("MPLBACKEND", None)
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.xref_missing_scheme"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"admin-py {release}"
html_static_path = ["_static"]
html_css_files = ["admin.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"
html_theme_options = {
    "navigation_with_keys": False,
    "light_css_variables": {"color-brand-primary": "#00694d", "color-brand-content": "#00694d"},
    "dark_css_variables": {"color-brand-primary": "#4fc3a1", "color-brand-content": "#4fc3a1"},
}


def keep_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Norms such as |dL/dx| in documentation strings are no substitutions."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if not in_example:
            parts = re.split(r"(``.*?``)", line)
            lines[number] = "".join(
                part if part.startswith("``") else part.replace("|", r"\|") for part in parts
            )


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", keep_bars, priority=400)  # before numpydoc
