"""The ledger as one HTML page that needs nothing beside it."""

import math
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
)
from headalgebra.claims.hopf.abstract import ABSTRACT
from headalgebra.claims.ledger import CLAIMS, TITLES
from headalgebra.claims.wording import number, shown

FIGURE_BYTES = 1_250_000
"""Of all figures in base64: a page much above 1.4 MB stays blank inside a Snakemake report."""

SHRINKING = 0.8
"""Factor by which the figures' sides shrink until they fit."""

COLOURS = {
    REPRODUCED: "#00664a",
    NOT_REPRODUCED: "#9c3d00",
    CONTRADICTED: "#6a2c86",
    TRUE_OF_ANYTHING: "#1c4f8a",
    NOT_MEASURED: "#555555",
}
"""Of a verdict's ground, all dark enough for white letters."""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The papers' claims: {{ title }}</title>
<style>
body { font: 16px/1.5 sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem }
h2 { margin: 2.5rem 0 .5rem; border-top: 1px solid #ccc; padding-top: 1rem }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin: .8rem 0 }
td, th { padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #ddd }
.claims th { width: 19% } .claims th:nth-child(n + 2) { width: 27% }
.evidence th { width: 24% } .evidence th:nth-child(2) { width: 40% }
.evidence th:nth-child(4) { width: 18% } .evidence th:nth-child(5) { width: 6% }
dt { font-weight: bold; margin-top: .5rem }
dd { margin: 0 }
td, dd { overflow-wrap: anywhere }
img { max-width: 100% }
.number { white-space: nowrap }
.missing { color: #555 }
.verdict { display: inline-block; color: #fff; padding: 0 .5rem; border-radius: .2rem }
h2 .verdict { font-size: 1rem; font-weight: normal; vertical-align: .15rem }
@media (max-width: 45rem) {
  .claims, .claims tbody, .claims tr, .claims td { display: block }
  .claims tr:first-child { display: none }
  .claims td { border: 0; padding: .1rem 0 }
  .claims td:nth-child(3) { border-left: .2rem solid #ddd; padding-left: .6rem }
  .claims tr { border-bottom: 1px solid #ddd; padding: .5rem 0 }
  .evidence { font-size: .8rem }
  .evidence th { width: 28% } .evidence th:nth-child(2) { width: 30% }
}
</style>
</head>
<body>
<h1>The papers' claims: {{ title }}</h1>
<p>{% for verdict, count in counts -%}
{{ count }} {{ verdict }}{{ ", " if not loop.last }}{% endfor %}.
Every verdict is computed from the study's tables; one that is underlined leads to its figure.
Brackets hold a number's 95 % interval, where it has one; n counts the layers, cases or models that
it was taken over.</p>
{% macro verdict_of(claim) -%}
{% if claim.figure -%}
<a class="verdict" style="background: {{ colours[claim.verdict] }}"
href="#figure-{{ claim.figure }}">
{{- claim.verdict }}</a>
{%- else -%}
<span class="verdict" style="background: {{ colours[claim.verdict] }}">{{ claim.verdict }}</span>
{%- endif %}
{%- endmacro %}
{% macro number_of(claim) -%}
{{ claim.statistic }}: <span class="number">{{ claim.number }}</span>
{%- endmacro %}
{% for paper in papers %}
<h2>{{ paper.title }}</h2>
<table class="claims">
<tr><th>Claim</th><th>The paper says</th><th>Measured</th><th>Verdict</th></tr>
{% for claim in paper.claims -%}
<tr><td><a href="#claim-{{ claim.id }}">{{ claim.title }}</a></td><td>{{ claim.statement }}</td>
<td>{% if claim.number %}{{ number_of(claim) }}{% else -%}
<span class="missing">{{ claim.note }}</span>{% endif %}</td><td>{{ verdict_of(claim) }}</td></tr>
{% endfor -%}
</table>
{% endfor %}
{% for paper in papers %}{% for claim in paper.claims %}
<section id="claim-{{ claim.id }}">
<h2>{{ claim.title }} {{ verdict_of(claim) }}</h2>
<dl>
<dt>Claim {{ claim.id }}, {{ claim.place }} of <i>{{ paper.title }}</i></dt>
<dd>{{ claim.statement }}</dd>
<dt>The paper's value</dt><dd>{{ claim.paper_value }}</dd>
<dt>Criterion</dt><dd>{{ claim.criterion }}</dd>
{% if claim.number %}<dt>Measured</dt>
<dd>{{ number_of(claim) }} ({{ claim.models }})</dd>{% endif %}
{% if claim.note %}<dt>Note</dt><dd>{{ claim.note }}</dd>{% endif %}
<dt>Rests on</dt><dd>{{ claim.rests_on }}</dd>
</dl>
{% if claim.evidence -%}
<table class="evidence">
<tr><th>On</th><th>Statistic</th><th>Value</th><th>95 % interval</th><th>n</th></tr>
{% for row in claim.evidence -%}
<tr><td>{{ row.on }}</td><td>{{ row.statistic }}</td><td>{{ row.value }}</td>
<td>{{ row.interval }}</td><td>{{ row.n }}</td></tr>
{% endfor -%}
</table>
{%- endif %}
</section>
{% endfor %}{% endfor %}
{% for figure in figures %}
<section id="figure-{{ figure.name }}">
<h2>Figure {{ figure.name }}</h2>
<p>Shows {% for id, title in figure.claims %}<a href="#claim-{{ id }}">{{ title }}</a>
{{- ", " if not loop.last }}{% endfor %}.</p>
<img alt="Figure {{ figure.name }}" src="data:image/png;base64,{{ figure.png }}">
</section>
{% endfor %}
</body>
</html>
"""


def claims_page(
    ledger: pd.DataFrame,
    evidence: pd.DataFrame,
    figures: Mapping[str, bytes],
    *,
    title: str,
) -> str:
    """The ledger as a self-contained HTML page, each verdict a link to its figure.

    Parameters
    ----------
    ledger
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    evidence
        In the columns of :data:`headalgebra.columns.EVIDENCE`.
    figures
        PNG files by name. A claim is linked to the first of its own figures that is there. Those
        that no claim is linked to are left out, the others made smaller where together they would
        be too large.
    title
        Of the study.
    """
    claims: list[dict[Any, Any]] = [
        row
        | {
            "title": CLAIMS[row["id"]].title,
            "figure": next((name for name in CLAIMS[row["id"]].figures if name in figures), None),
            "number": number(row),
            "place": row["section"] if row["section"] == ABSTRACT else f"section {row['section']}",
            "evidence": _rows(evidence[evidence["id"] == row["id"]]),
        }
        for row in ledger.to_dict("records")
    ]
    shows: dict[str, list[tuple[str, str]]] = {}
    for claim in claims:
        if claim["figure"]:
            shows.setdefault(claim["figure"], []).append((claim["id"], claim["title"]))
    encoded = _fitted({name: figures[name] for name in shows})
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        title=title,
        papers=[
            {"title": TITLES[name], "claims": [claim for claim in claims if claim["paper"] == name]}
            for name in dict.fromkeys(ledger["paper"])
        ],
        colours=COLOURS,
        counts=[(v, count) for v in COLOURS if (count := int((ledger["verdict"] == v).sum()))],
        figures=[
            {"name": name, "claims": shown_claims, "png": encoded[name]}
            for name, shown_claims in shows.items()
        ],
    )


def _rows(evidence: pd.DataFrame) -> list[dict[Any, Any]]:
    """The numbers behind a claim as a table shows them."""
    return [
        row
        | {
            "value": shown(row["value"]),
            "interval": (
                "" if math.isnan(row["low"]) else f"{shown(row['low'])} to {shown(row['high'])}"
            ),
        }
        for row in evidence.to_dict("records")
    ]


def _fitted(figures: Mapping[str, bytes]) -> dict[str, str]:
    """The figures in base64, all of them smaller by one factor where they are too much."""
    scale = 1.0
    while True:
        encoded = {
            name: b64encode(png if scale == 1 else _scaled(png, scale)).decode()
            for name, png in figures.items()
        }
        if sum(map(len, encoded.values())) <= FIGURE_BYTES:
            return encoded
        scale *= SHRINKING


def _scaled(png: bytes, scale: float) -> bytes:
    with Image.open(BytesIO(png)) as image:
        width, height = (max(1, round(side * scale)) for side in image.size)
        smaller = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    written = BytesIO()
    # Few colours are enough for a drawing, and a quarter of the bytes.
    smaller.quantize(128).save(written, "PNG", optimize=True)
    return written.getvalue()
