"""An executed notebook as one HTML file that needs no network: what a browser without Jupyter shows of a chapter.

nbconvert's own page asks other hosts for scripts (RequireJS, MathJax, Mermaid, widgets), cuts long lines off, and tells who cannot see
a picture nothing about it; here each of these is set right. Cells that only bring in source (tag ``source``) or check what is said
(``fact``, ``holds``) show no input, as in JupyterLab, where it is folded away.
"""

from __future__ import annotations

from pathlib import Path

from lib.lab.jupyter.chapterlist import CHAPTERS
from lib.lab.jupyter.outputs import WIDGET_VIEW

HIDDEN = {"source", "fact", "holds"}
CSS = """
body.jp-Notebook { max-width: 1150px; margin: 0 auto; }
.highlight pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.jp-OutputArea-output, .jp-OutputArea-output pre { overflow-x: auto; }
.jp-OutputArea-output pre { white-space: pre; }
.jp-OutputArea-output img { max-width: 100%; height: auto; }
@media print { .jp-OutputArea-output pre { white-space: pre-wrap; } }
"""
TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}<style>CSS</style>{%- endblock -%}
{%- block data_widget_view scoped -%}{%- endblock -%}
{%- macro picture(output, kind, bytes) -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:{{ kind }};base64,{{ bytes }}"
 alt="{{ (output | get_metadata('alt', kind) or output.data.get('text/plain', '')) | escape_html }}">
</div>
{%- endmacro -%}
{%- block data_png scoped -%}{{ picture(output, 'image/png', output.data['image/png'] | escape_html) }}{%- endblock -%}
{%- block data_svg scoped -%}{{ picture(output, 'image/svg+xml', output.data['image/svg+xml'] | text_base64) }}{%- endblock -%}
""".replace("CSS", CSS)


def page(executed: str) -> str:
    """The page of an executed notebook; links to other chapters, and to the list of them, lead to pages."""
    import nbformat
    from nbconvert import HTMLExporter

    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        if HIDDEN & set(cell.metadata.get("tags", [])):
            cell.metadata["transient"] = {"remove_source": True}  # nbconvert's own word for it, see its TagRemovePreprocessor
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)  # needs a kernel; the words or the still beside it do not
    notebook.metadata.pop("widgets", None)
    exporter = HTMLExporter(template_name="lab", raw_template=TEMPLATE)
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title(executed)}})
    for chapter in CHAPTERS:
        text = text.replace(f'href="{chapter.file}', f'href="{Path(chapter.file).with_suffix(".html")}')
    return text.replace('href="../README.md#the-seven-chapters"', 'href="index.html"')


def title(executed: str) -> str:
    """What the browser's tab says."""
    names = {one.file: f"{int(one.number)}. {one.title}" for one in CHAPTERS}
    return names.get(Path(executed).name, Path(executed).stem)
