"""How datasets, labels and reports show themselves in a notebook: HTML that fits a light page and a dark one.

Styles stand in the elements, since a notebook that is not trusted drops style sheets. Every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


__all__ = ["report_html"]

_SHOWN = 20  # lines of a list

_TEMPLATE = """\
{%- macro cell(tag, value, first, border) -%}
<{{ tag }} style="padding: .2em .8em; text-align: {{ 'left' if first else 'right' }}; border: 0; \
border-bottom: {{ border }}">{{ value }}</{{ tag }}>
{%- endmacro -%}
<div style="max-width: 60em">
<p style="margin: .5em 0"><strong>{{ title }}</strong><br>{{ about }}</p>
{%- if picture %}
<img src="data:image/png;base64,{{ picture }}" alt="{{ title }}" style="display: block; max-width: 100%">
{%- endif %}
{%- if rows %}
<table style="border-collapse: collapse; margin: .5em 0; color: inherit; background: none">
<thead><tr style="background: none">
{%- for name in header %}
{{ cell("th", name, loop.first, "1px solid #8888") }}
{%- endfor %}
</tr></thead>
<tbody>
{%- for row in rows %}
<tr style="background: none">
{%- for value in row %}
{{ cell("td", value, loop.first, "1px solid #8883") }}
{%- endfor %}
</tr>
{%- endfor %}
</tbody>
</table>
{%- endif %}
{%- for name, lines in lists.items() if lines %}
<p style="margin: .5em 0 0">{{ name }}</p>
<ul style="margin: 0">
{%- for line in lines[:shown] %}
<li>{{ line }}</li>
{%- endfor %}
{%- if lines | length > shown %}
<li>and {{ lines | length - shown }} more</li>
{%- endif %}
</ul>
{%- endfor %}
</div>
"""


@cache
def _template() -> jinja2.Template:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)


def report_html(
    title: str,
    about: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    lists: Mapping[str, Sequence[object]] | None = None,
    picture: bytes = b"",
) -> str:
    """A title, a line about it, a picture, a table and lists, each as far as there is one.

    Args:
        title, about: text.
        header: names of the columns; the first holds text, the others numbers.
        rows: what stands in the table.
        lists: heading -> lines; empty lists are left out, long ones cut.
        picture: a PNG file.
    """
    html = _template().render(
        title=title,
        about=about,
        header=header,
        rows=rows,
        lists=lists or {},
        picture=base64.b64encode(picture).decode(),
        shown=_SHOWN,
    )
    return html.encode(errors="backslashreplace").decode()  # paths need not be text
