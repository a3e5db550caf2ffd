"""An executed notebook as one HTML file that needs no network: what a browser without Jupyter shows of a chapter.

nbconvert's own page asks other hosts for scripts (RequireJS, MathJax, Mermaid, widgets), cuts long lines off, and tells whoever cannot see
a picture nothing about it; here each of these is set right (``page.css`` is the look). Cells that only bring in source (tag ``source``) or
check what is said (``fact``, ``holds``) show no input, as in JupyterLab, where it is folded away.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from lib.lab.jupyter.chapterlist import CHAPTERS
from lib.lab.jupyter.outputs import WIDGET_VIEW

HIDDEN = {"source", "fact", "holds"}
CSS = Path(__file__).with_name("page.css").read_text()
TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}<style>CSS</style>{%- endblock -%}
{%- block data_widget_view scoped -%}{%- endblock -%}
{%- block input -%}
{%- if 'setup' in cell.metadata.get('tags', []) -%}
<details><summary>Set-up ({{ cell.source.splitlines() | length }} lines)</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock -%}
{%- macro picture(output, kind, bytes) -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:{{ kind }};base64,{{ bytes }}"
 alt="{{ (output | get_metadata('alt', kind) or output.data.get('text/plain', '')) | escape_html }}">
</div>
{%- endmacro -%}
{%- block data_png scoped -%}{{ picture(output, 'image/png', output.data['image/png'] | escape_html) }}{%- endblock -%}
{%- block data_svg scoped -%}
{%- if '<title>' in output.data['image/svg+xml'] -%}
<div class="jp-RenderedSVG jp-OutputArea-output">{{ output.data['image/svg+xml'] }}</div>
{%- else -%}{{ picture(output, 'image/svg+xml', output.data['image/svg+xml'] | text_base64) }}{%- endif -%}
{%- endblock -%}
""".replace("CSS", CSS)
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"')


def page(executed: str) -> str:
    """The page of an executed notebook; links to other chapters, and to the list of them, lead to pages.

    A picture of ours stands in the page itself, so that the pointer finds its boxes; it says in its own title what it shows.
    """
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
    text = text.replace('href="../README.md#the-seven-chapters"', 'href="index.html"')
    return text.replace("<main>", f"{contents(text)}\n<main>", 1)


def contents(text: str) -> str:
    """The chapter's sections as a list of links: beside the text where there is room, else folded above it (``page.css`` shows one)."""
    items = "".join(f'<li><a href="#{place}">{words}</a></li>' for place, words in HEADING.findall(text))
    links = f'<a href="index.html">All chapters</a><ol>{items}</ol>'
    narrow = f'<details class="contents narrow"><summary>Contents</summary>{links}</details>'
    return f'{narrow}<nav class="contents wide" aria-label="Contents">{links}</nav>'


def title(executed: str) -> str:
    """What the browser's tab says."""
    names = {one.file: f"{int(one.number)}. {one.title}" for one in CHAPTERS}
    return names.get(Path(executed).name, Path(executed).stem)


# -- the first page ------------------------------------------------------------------------------------


def picture_of(executed: str) -> str:
    """The chapter's emblem, the first picture of its cell tagged ``emblem``, as an ``img``; nothing if there is none."""
    import nbformat

    for cell in nbformat.read(executed, as_version=4).cells:
        if "emblem" in cell.metadata.get("tags", []):
            for output in cell.get("outputs", []):
                if svg := output.get("data", {}).get("image/svg+xml"):
                    return f'<img src="data:image/svg+xml;utf8,{quote(svg)}" alt="{escape(output.data.get("text/plain", ""))}">'
    return ""


def cover(rows: list[tuple[str, str, str, str]]) -> str:
    """``index.html``: for each chapter its heading (HTML), what it is about, what came of the run, and a picture (HTML)."""
    name = "Docker: From Zero to Production"
    sections = "".join(
        f"<section><div><h2>{heading}</h2><p>{escape(about)}</p><p class=state>{escape(state)}</p></div><div>{picture}</div></section>"
        for heading, about, state, picture in rows
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>{name}</title><style>{CSS}</style></head>
<body class="book"><div class="cover"><h1>{name}</h1>
<p>The runnable edition: every number below was measured, and every output printed, on your machine a moment ago.</p>
{sections}</div></body></html>
"""
