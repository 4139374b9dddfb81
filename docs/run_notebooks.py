"""Runs notebooks: ``python docs/run_notebooks.py examples/notebooks/*.ipynb`` writes into each what comes out now.

All cells of a notebook run in order, in one namespace and an empty folder, without Jupyter: what a cell prints, the
value of its last line and the figures that it leaves open are its outputs, as Jupyter shows them.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

from matplotlib import pyplot

Output = dict[str, Any]


def outputs_of(notebook: dict[str, Any], name: str) -> list[list[Output]]:
    """What each cell of code puts out, in the form of a notebook file."""
    namespace: dict[str, Any] = {"__name__": "notebook"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [run_cell("".join(cell["source"]), namespace, f"{name}:{n}", n) for n, cell in enumerate(code, 1)]


def run_cell(source: str, namespace: dict[str, Any], name: str, number: int) -> list[Output]:
    """The outputs of one cell; an error of the cell is raised.

    Args:
        name: Of the cell in a traceback.
        number: By which the value of the last line is numbered.
    """
    tree, values = ast.parse(source, name), list[object]()
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, name, "exec", dont_inherit=True), namespace)
        if last is not None:
            # as Jupyter does: an expression alone hands its value to the display hook
            hook, sys.displayhook = sys.displayhook, values.append
            try:
                exec(compile(ast.Interactive([last]), name, "single", dont_inherit=True), namespace)
            finally:
                sys.displayhook = hook
    printed = [{"name": "stdout", "output_type": "stream", "text": lines(out.getvalue())}] if out.getvalue() else []
    shown = [
        {"data": shown_as(value), "execution_count": number, "metadata": {}, "output_type": "execute_result"}
        for value in values
        if value is not None
    ]
    return [*printed, *figures(), *shown]


def shown_as(value: object) -> dict[str, list[str]]:
    """A value by media type: as text, and as HTML where it has it."""
    found = {"text/plain": lines(repr(value))}
    page = getattr(value, "_repr_html_", lambda: None)()
    return ({"text/html": lines(page)} if page else {}) | found


def figures() -> list[Output]:
    """The figures that are open, as pictures; then they are closed."""
    found = []
    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=90, bbox_inches="tight", metadata={"Software": None})
        data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": ["<Figure>"]}
        found.append({"data": data, "metadata": {}, "output_type": "display_data"})
    pyplot.close("all")
    return found


def lines(text: str) -> list[str]:
    """Text as a notebook file keeps it."""
    return text.splitlines(keepends=True)


def said(outputs: list[Output]) -> list[str]:
    """What of outputs is compared: their text, white space aside. Pixels differ between machines."""
    texts = [output.get("text") or output["data"]["text/plain"] for output in outputs]
    return [" ".join("".join(text).split()) for text in texts]


def filled(notebook: dict[str, Any], outputs: list[list[Output]]) -> dict[str, Any]:
    """The notebook with these outputs; where one says the same as before it stays as it was."""
    made, cells, number = iter(outputs), [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number, new = number + 1, next(made)
            kept = cell["outputs"] if said(cell["outputs"]) == said(new) else new
            cell = cell | {"execution_count": number, "outputs": kept}
        cells.append(cell)
    return notebook | {"cells": cells}


def main(names: list[str]) -> None:
    """Rewrite notebooks in place."""
    os.environ["MPLBACKEND"] = "Agg"
    for path in [Path(name).resolve() for name in names]:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            outputs = outputs_of(notebook, path.name)
        text = json.dumps(filled(notebook, outputs), indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
