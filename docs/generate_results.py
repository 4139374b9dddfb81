"""Writes docs/results.md and its picture from benchmarks/results: ``python docs/generate_results.py``.

A test compares the page with what this gives, so no figure can outlive its measurement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
GROWTH = ROOT / "docs" / "images" / "growth.png"

HEAD = """# Results

Written by `docs/generate_results.py` from `benchmarks/results/`; what new people cost is in the [README](../README.md).
Each section gives its command; `make bench` runs them all. Sets other than MovieLens-100K are read from the folder that
`PALATE_DATA` names. Intervals are 95 %, by bootstrap ([how we measure](measuring.md)); losses are in the tables too.
"""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(value: dict[str, float], digits: int = 3) -> str:
    return f"{value['mean']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def ranking(results: dict[str, Any]) -> str:
    """NDCG@10 of every model, a row for each split and seed."""
    names = list(results["rows"][0]["models"])
    rows = []
    for row in results["rows"]:
        models = row["models"]
        best = models[row["best"]]["ndcg@10"]["mean"]
        cells = [f"{models[name]['ndcg@10']['mean']:.4f}" if name in models else "–" for name in names]
        gap = models["palate"]["ndcg@10"]["mean"] / best - 1.0
        behind = _interval(models["palate"]["behind_best"], 4)
        rows.append([row["split"], str(row["seed"]), *cells, f"{gap:+.1%}", behind])
    return table(["split", "seed", *names, "palate to the best", "palate minus the best"], rows)


def never_rated(results: dict[str, Any]) -> str:
    """RMSE with and without content."""
    rows = [
        [
            row["set"],
            _interval(row["none"]["rmse"]),
            _interval(row["default"]["rmse"]),
            _interval(row["content_minus_none"]),
            f"{row['default']['coverage_95']:.1%}",
        ]
        for row in results["rows"]
    ]
    return table(["set", "RMSE without content", "with", "difference, paired by item", "inside 95 % intervals"], rows)


def calibration(results: dict[str, Any]) -> str:
    """Coverage of intervals, or calibration error of P(agree): mean, lowest and highest over the seeds."""
    rows = []
    for row in results["rows"]:
        coverage, error = row.get("coverage_95"), row.get("calibration_error")
        rows.append(
            [
                row["set"],
                _interval(coverage) if coverage else "–",
                _interval(error) if error else "–",
                _interval(row["rmse"]),
            ]
        )
    return table(["set", "inside 95 % intervals", "expected calibration error", "RMSE"], rows)


def covariance_forms(results: dict[str, Any]) -> str:
    """What the smaller forms lose."""
    rows = [
        [row["set"], row["form"], f"{row['rmse']:.4f}", f"{row['coverage_95']:.2%}", f"{row['bytes']:,.0f}"]
        for row in results["rows"]
    ]
    return table(["set", "form", "RMSE", "inside 95 % intervals", "bytes"], rows)


def speed(results: dict[str, Any]) -> str:
    """Seconds and memory."""
    rows = [
        [f"{row['ratings']:,}", f"{row['seconds']:.0f}", f"{row['data_mib']:,.0f}", f"{row['peak_mib']:,.0f}"]
        for row in results["growth"]
    ]
    starts = ", ".join(f"`{name}` {seconds:.2f} s" for name, seconds in results["start_seconds"].items())
    lines = [
        f"MovieLens-100K is fitted in {results['movielens_100k_fit_seconds']:.1f} s (16 dimensions). Starts: {starts}.",
        table(["generated ratings", "fit, seconds", "peak MiB of the data", "peak MiB with the fit"], rows),
        "![Seconds of the batch fit against ratings](images/growth.png)",
    ]
    return "\n\n".join(lines)


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "ranking": ("Warm top-10, NDCG@10 on MovieLens-100K", ranking),
    "never_rated": ("Items nobody has rated", never_rated),
    "calibration": ("How honest the intervals are", calibration),
    "covariance_forms": ("What keeping less of the covariances loses", covariance_forms),
    "speed": ("Seconds and memory", speed),
}


def page() -> str:
    """The whole page, from what has been measured."""
    parts = [HEAD]
    for name, (title, section) in SECTIONS.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            results = json.loads(path.read_text(encoding="utf-8"))
            parts.append(f"## {title}\n\n    {results['command']}\n\n{section(results)}\n")
    return "\n".join(parts)


def draw_growth(results: dict[str, Any], path: Path) -> None:
    """Seconds against ratings, both on logarithmic scales, with a line of slope one to compare."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ratings = [row["ratings"] for row in results["growth"]]
    seconds = [row["seconds"] for row in results["growth"]]
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    axes.loglog(ratings, seconds, marker="o", color="#0072b2", label="batch fit")
    linear = [seconds[-1] * count / ratings[-1] for count in ratings]
    axes.loglog(ratings, linear, linestyle="--", color="grey", label="linear in the ratings")
    axes.set_xlabel("ratings (20,000 items)")
    axes.set_ylabel("seconds")
    axes.set_title("Time of the batch fit, 16 dimensions", loc="left")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Rewrite the page and the picture."""
    PAGE.write_text(page(), encoding="utf-8")
    measured = RESULTS / "speed.json"
    if measured.exists():
        draw_growth(json.loads(measured.read_text(encoding="utf-8")), GROWTH)


if __name__ == "__main__":
    main()
