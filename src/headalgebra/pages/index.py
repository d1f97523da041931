"""The page of a study that a person opens first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from headalgebra.pages.findings import findings
from headalgebra.pages.ledger import LOOKS, papers, verdict_counts
from headalgebra.pages.origins import Origin, models, texts
from headalgebra.pages.pictures import LeftOut, Picture, by_category, caption_html, embedded
from headalgebra.pages.tables import ROWS_SHOWN, Table, listed, sortable
from headalgebra.provenance import versions

FOLDER = Path(__file__).parent
"""Where the templates, the style and the script of the pages lie."""

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def index_page(
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    left_out: Mapping[str, LeftOut],
    origins: Sequence[Origin],
    *,
    study: str,
    title: str,
    links: Mapping[str, str],
) -> str:
    """A study as one HTML page: findings, claims, figures, tables and where it all is from.

    It needs no network and no other file; its links to the study's files are relative.

    Parameters
    ----------
    tables
        Those of the study, among them ``claims`` and ``evidence``.
    pictures, left_out
        Its figures, and those it has nothing to show in, by name.
    origins
        What is known of its models' weights.
    study, title
        Its name, and what it is called.
    links
        What else of the study there is to open: what it is called, and where it lies.

    Raises
    ------
    ValueError
        When a table has no description, or a caption is not reStructuredText.
    """
    by_name = {table.name: table.rows for table in tables}
    claims = by_name["claims"]
    runs = by_name.get("runs")
    names = [picture.name for picture in pictures]
    return rendered(
        "index.html",
        study=study,
        title=title,
        links=links,
        counts=verdict_counts(claims),
        n_claims=len(claims),
        n_papers=_in_words(claims["paper"].nunique()),
        against=_against(len(origins), len(by_name.get("trainings", ()))),
        models=models(origins, runs),
        texts=texts(runs),
        packages=versions(origin.record for origin in origins),
        findings=findings(claims, names),
        papers=papers(claims, by_name["evidence"], names),
        images=embedded(pictures),
        categories=[
            {
                "name": category,
                "pictures": [
                    {"picture": one, "caption": caption_html(one.caption)} for one in of_category
                ],
            }
            for category, of_category in by_category(pictures).items()
        ],
        left_out=left_out,
        listed=listed(tables),
        sortable=sortable(tables),
        rows_shown=ROWS_SHOWN,
    )


def rendered(template: str, **values: object) -> str:
    """A page from its template, in the style of all of them; every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "style": Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        "script": Markup((FOLDER / "index.js").read_text(encoding="utf-8")),
        "looks": LOOKS,
    }
    return environment.get_template(template).render(**values)


def _in_words(n: int) -> str:
    return WORDS[n] if n < len(WORDS) else str(n)


def _against(n_models: int, n_trainings: int) -> str:
    """What the claims were held against."""
    parts = []
    if n_models or not n_trainings:
        parts.append("1 model" if n_models == 1 else f"{n_models} models")
    if n_trainings:
        trainings = "1 training" if n_trainings == 1 else f"{n_trainings} trainings"
        parts.append(f"{trainings} of small decoders")
    return " and ".join(parts)
