"""Data frames of text as Markdown, LaTeX, HTML, CSV or a table on the screen."""

import html
import re
from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Signs that LaTeX's text mode has other names for.
LATEX = {
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "≈": r"$\approx$",
    "≥": r"$\geq$",
    "▲": r"$\star$",
    "~": r"$\sim$",
    "—": "---",
    "…": r"\dots{}",
    "†": r"$\dagger$",
    "→": r"$\rightarrow$",
    "^": r"\textasciicircum{}",
}

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def render(texts: pd.DataFrame, form: str, title: str, notes: Sequence[str]) -> str:
    """The table in one of the command line's forms but `screen`. Lines within a cell are divided by line breaks."""
    if form == "csv":
        return texts.to_csv(index=False)
    if form == "markdown":
        shown = texts.map(lambda text: str(text).replace("\n", "<br>").replace("|", r"\|"))
        # Numbers as they are: read and written again they would lose signs and digits.
        sides = [
            "right" if len(shown) and all(map(NUMBER.fullmatch, column)) else "left" for _, column in shown.items()
        ]
        body = shown.to_markdown(index=False, disable_numparse=True, colalign=sides if len(shown) else None)
        return "\n\n".join([f"### {title}", body, *notes]) + "\n"
    if form == "html":
        body = texts.to_html(index=False, border=0, escape=True).replace(r"\n", "<br>")
        said = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        return f"<figure><figcaption>{html.escape(title)}</figcaption>\n{body}\n{said}</figure>\n"
    return _latex(texts, title, notes)


def prose(sentences: Sequence[str], form: str) -> str:
    """Paragraphs in one of the forms `markdown`, `html` and `latex`."""
    if form == "html":
        return "\n".join(f"<p>{html.escape(text)}</p>" for text in sentences)
    return "\n\n".join(sentences if form == "markdown" else map(_tex, sentences)) + "\n"


def on_screen(console: Console, texts: pd.DataFrame, title: str, notes: Sequence[str], keys: int = 1) -> None:
    """Print as many columns side by side as fit, the others in tables below, each with the first `keys` columns."""
    for number, columns in enumerate(_that_fit(texts, console.width, keys)):
        table = Table(title=title if number == 0 else None, title_style="bold", title_justify="left")
        table.box, table.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in texts[columns].itertuples(index=False):
            table.add_row(*(Text(str(text)) for text in row))
        console.print(table)
    for note in notes:
        console.print(note, markup=False)


def _that_fit(texts: pd.DataFrame, width: int, keys: int) -> list[list[str]]:
    """Groups of columns, each led by the key columns."""
    first, others = list(texts.columns[:keys]), texts.columns[keys:]
    # A cell's margins take two characters at most.
    wide = {
        column: 2 + max(len(line) for text in [column, *texts[column]] for line in str(text).split("\n"))
        for column in texts.columns
    }
    groups: list[list[str]] = []
    for column in others:
        if groups and sum(wide[name] for name in [*groups[-1], column]) <= width:
            groups[-1].append(column)
        else:
            groups.append([*first, column])
    return groups or [first]


def _latex(texts: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    """With booktabs; lines within a cell become `\\shortstack`."""
    body = texts.map(lambda text: _tex(str(text)))
    body.columns = [_tex(column) for column in texts.columns]
    styled = body.style.hide(axis="index").to_latex(
        hrules=True,
        caption=_tex(title),
        position="t",
        column_format="l" * len(texts.columns),
        position_float="centering",
    )
    said = "\n".join(f"% {note}" for note in notes)
    return f"% Needs the package booktabs.\n{styled}{said}\n"


def _tex(text: str) -> str:
    escaped = re.sub(r"([&%$#_{}])", r"\\\1", text)
    for sign, name in LATEX.items():
        escaped = escaped.replace(sign, name)
    # After a line break these two would be its arguments.
    lines = [f"{{{line[0]}}}{line[1:]}" if line[:1] in ("[", "*") else line for line in escaped.split("\n")]
    escaped = "\n".join(lines)
    return escaped if len(lines) == 1 else r"\shortstack[l]{" + r" \\ ".join(lines) + "}"
