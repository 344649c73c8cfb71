"""What a page is made of: sections with words, pictures and tables, in the form that the template takes."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib.pyplot as plt
import pandas as pd

from rethinking.analysis.figures import Picture, style

# Of a point of a picture, on a wide page.
PIXELS = 1.4
NARROW, WIDE = "narrow", "wide"


@dataclass(frozen=True)
class PageTable:
    """A table as the template takes it.

    tools: whether it can be sorted and filtered. folded: whether it is opened by a click. leads: the columns that come
    first on a narrow page, where each row becomes two columns; without any, a table that is too wide scrolls in its
    box. looks: of a row, columns that are marked by a colour.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: Sequence[str] = ()
    tools: bool = True
    folded: bool = False
    leads: Sequence[str] = ()
    looks: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class PagePicture:
    """A drawing in SVG, its width and its caption. On a narrow page it becomes smaller, down to two thirds.

    pages: which it is for, NARROW or WIDE ones only; empty for all.
    """

    svg: str
    width: int
    caption: str
    pages: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page. explained: name of a template with further words."""

    id: str
    title: str
    words: list[str] = field(default_factory=list)
    tables: list[PageTable] = field(default_factory=list)
    pictures: list[PagePicture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    explained: str = ""


def page_table(
    title: str,
    texts: pd.DataFrame,
    notes: Sequence[str] = (),
    tools: bool = True,
    folded: bool = False,
    leads: Sequence[str] = (),
    looks: Sequence[Mapping[str, str]] = (),
) -> PageTable:
    """A frame of texts as a table of the page."""
    rows = [[str(text) for text in row] for row in texts.itertuples(index=False)]
    return PageTable(title, [str(column) for column in texts.columns], rows, notes, tools, folded, leads, looks)


def page_picture(picture: Picture, pages: str = "") -> PagePicture:
    """Inline SVG, without the declarations that belong to a file of its own."""
    file = io.StringIO()
    with style():
        picture.figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(picture.figure)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    # Ids are the page's, so they must differ between pictures.
    prefix = f"p{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", svg)
    size = re.search(r'width="([\d.]+)pt" height="[\d.]+pt"', svg)
    assert size is not None, "matplotlib gives a picture's size in points"
    # The page says how large it is.
    return PagePicture(svg.replace(size[0], "", 1), round(float(size[1]) * PIXELS), picture.caption, pages)
