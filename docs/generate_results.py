"""Writes docs/results.md and its picture from benchmarks/results: ``python docs/generate_results.py``.

A test compares the page with what this gives, so no figure can outlive its measurement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
GROWTH = ROOT / "docs" / "images" / "growth.png"
POOLS = ROOT / "docs" / "images" / "pools.png"
SHARDS = ROOT / "docs" / "images" / "shards.png"
FRIENDS = ROOT / "docs" / "images" / "friends.png"

HEAD = """# Results

Written by `docs/generate_results.py` from `benchmarks/results/`; what new people cost is in the [README](../README.md).
Each section gives its command; `make bench` runs them all, `--sets` some of their sets. Sets other than
MovieLens-100K are read from the folder that `PALATE_DATA` names ([where they come from, and how to have
them](data-sets.md)). Intervals are 95 %, by bootstrap ([how we measure](measuring.md)); losses are in the tables too.
"""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(value: dict[str, float], digits: int = 3) -> str:
    return f"{value['mean']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def ranking(results: dict[str, Any]) -> str:
    """NDCG@10 of every model, a row for each set, split and seed, and Palate less the best rival."""
    names = list(dict.fromkeys(name for row in results["rows"] for name in row["models"]))
    rows = []
    for row in results["rows"]:
        models = row["models"]
        cells = [f"{models[name]['ndcg@10']['mean']:.4f}" if name in models else "–" for name in names]
        rival = max((name for name in models if name != "palate"), key=lambda name: models[name]["ndcg@10"]["mean"])
        minus = models["palate"]["behind_best"]
        if row["best"] == "palate":  # then the rival is behind it
            behind = models[rival]["behind_best"]
            minus = {"mean": -behind["mean"], "low": -behind["high"], "high": -behind["low"]}
        first = row.get("set", "movielens-100k")
        rows.append([first, row["split"], str(row["seed"]), *cells, rival, _signed(minus, 4)])
    return table(["set", "split", "seed", *names, "best rival", "palate minus it"], rows)


def rivals(results: dict[str, Any]) -> str:
    """NDCG@10 of our rivals and of kept libraries in the same settings."""
    rows = [
        [
            row["set"],
            str(row["seed"]),
            row["rival"],
            row["library"],
            f"{row['ours']:.4f}",
            f"{row['theirs']:.4f}",
            _signed(row["ours_minus_theirs"], 4),
            f"{row['shared']:.1%}",
        ]
        for row in results["rows"]
    ]
    head = ["set", "seed", "rival", "library", "ours", "theirs", "ours minus theirs", "of ten items shared"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return f"Same rows, same settings; NDCG@10 ({versions}).\n\n{table(head, rows)}"


def toolkit_metrics(results: dict[str, Any]) -> str:
    """The largest gaps of our metrics to LensKit's and RecBole's."""
    of_set = {row["set"]: row["set"] for row in results["rows"]}
    of_set |= {name: name.split(",")[0] for name in of_set if not name.startswith("random")}  # of all models
    kinds = list(dict.fromkeys(of_set.values()))
    gaps: dict[tuple[str, str], dict[str, float]] = {}
    how: dict[tuple[str, str], tuple[str, float]] = {}
    for row in results["rows"]:
        if row["metric"].startswith("mean "):
            continue
        key = row["library"], row["metric"]
        of = gaps.setdefault(key, {})
        kind = of_set[row["set"]]
        of[kind] = max(row["gap"], of.get(kind, 0.0))
        if "how" in row:
            how[key] = row["how"], max(row["gap_by_formula"], how.get(key, ("", 0.0))[1])
    names = {"lenskit": "LensKit", "recbole": "RecBole"}
    rows = []
    for key, of in gaps.items():
        cells = [f"{of[kind]:.1g}" if kind in of else "–" for kind in kinds]
        said, left = how.get(key, ("", None))
        rows.append([key[1], names[key[0]], *cells, said or "alike", "" if left is None else f"{left:.1g}"])
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    head = ["metric", "library", *kinds, "the library", "gap then"]
    said = (
        f"Largest difference of a user's figure ({versions}); seeds {', '.join(map(str, results['seeds']))}. Where a "
        "library defines a figure otherwise, ours was turned into theirs by what stands there, and the last column is "
        "the gap then."
    )
    return f"{said}\n\n{table(head, rows)}"


def by_history(results: dict[str, Any]) -> str:
    """Palate and the best rival by length of history, and their difference."""
    rows, stated = [], []
    for row in results["rows"]:
        for n, stage in row["stages"].items():
            if "chance" in stage:
                found = stage["chance"]["found"]
                stated.append([row["set"], n, str(stage["people"]), f"{stage['chance']['said']:.3f}", _interval(found)])
            for metric in ("ndcg@10", "recall@20"):
                found = stage[metric]
                rival, minus = found["best_rival"], found["palate_minus_best"]
                sure = "ahead" if minus["low"] > 0 else "behind" if minus["high"] < 0 else ""
                rows.append(
                    [
                        row["set"] + ("" if row["dated"] else " (no times)"),
                        str(row["seed"]),
                        n,
                        str(stage["people"]),
                        metric,
                        f"{found['palate']['mean']:.4f}",
                        f"{rival} {found[rival]:.4f}",
                        _signed(minus, 4),
                        sure,
                    ]
                )
    head = ["set", "seed", "known events", "people", "metric", "palate", "best rival", "palate minus it", "sure"]
    told = (
        "The rival is the best of popularity, recent popularity, item-kNN, EASE and iALS *on the people tested*, each "
        "in the setting that was best inside the training part: that favours the rivals. Sets without times: a fifth "
        "of the people, drawn, and what they did in an order drawn."
    )
    chances = (
        "The chances stated for the first ten places, summed, beside the share of people whose next item was among "
        "them: equal if the chances are calibrated. They are learnt on people before the cut."
    )
    return "\n\n".join(
        [told, table(head, rows), chances, table(["set", "known events", "people", "stated", "found"], stated)]
    )


def repeat_purchase(results: dict[str, Any]) -> str:
    """The next basket, what was bought before in it, by the model of repeats and by counting."""
    names = list(dict.fromkeys(name for row in results["rows"] for name in row["ndcg@10"]))
    rows = [
        [
            row["set"],
            f"{row['people']:,}",
            f"{row['bought_before']:.0%}",
            *(f"{row['ndcg@10'][name]['mean']:.4f}" for name in names),
            row["best_rival"],
            _signed(row["repeats_minus_best"], 4),
        ]
        for row in results["rows"]
    ]
    told = (
        "NDCG@10 of the first basket after a cut in time, of people who bought before it, over the whole catalogue. "
        "What was bought before stands first, in the order named, and then what sells lately. `frequency` is the "
        "number of days on which somebody bought a product. Rivals are tuned in the training part; the best is the "
        "best here."
    )
    return "\n\n".join(
        [told, table(["set", "people", "of it bought before", *names, "best rival", "repeats less it"], rows)]
    )


def friends(results: dict[str, Any]) -> str:
    """The list with and without what friends met, by length of history."""
    columns = ["set", "seed", "known events", "people", "who have friends", "with", "without", "friends alone", "gain"]
    rows = []
    for row in results["rows"]:
        for n, stage in row["stages"].items():
            figures = [f"{stage[name]['mean']:.4f}" for name in ("with", "without", "friends alone")]
            counts = [str(stage["people"]), str(stage["with_friends"])]
            rows.append([row["set"], str(row["seed"]), n, *counts, *figures, _signed(stage["with_minus_without"], 4)])
    told = (
        "NDCG@10. A fifth of the people are new, their friends those of the fit; an item counts from two friends on. "
        "`friends alone` is the order by what friends met. Both fits choose all weights on people held back inside."
    )
    return "\n\n".join([told, table(columns, rows)])


def _signed(value: dict[str, float], digits: int) -> str:
    return f"{value['mean']:+.{digits}f} ({value['low']:+.{digits}f} to {value['high']:+.{digits}f})"


def implicit_belief(results: dict[str, Any]) -> str:
    """NDCG@10 of the belief about events alone, of iALS and its kin, and the belief less each."""
    told = "A fifth of the events held out, whole catalogue; settings chosen on a fifth of the training part."
    rows = [
        [
            row["set"],
            str(row["people"]),
            peer,
            f"{reached:.4f}",
            _of_three(row["belief minus"][peer], 4) if peer in row["belief minus"] else "–",
        ]
        for row in results["rows"]
        for peer, reached in row["ndcg@10"].items()
    ]
    return f"{told}\n\n{table(['set', 'people', 'model', 'NDCG@10', 'belief minus it'], rows)}"


def cold_items(results: dict[str, Any]) -> str:
    """Items nobody has acted on, by every way to see them, and Palate less each rival."""
    told = (
        "A fifth of the items is hidden. `rmse` and `ndcg@10` are of the hidden items a person rated, `list "
        "ndcg@10` of a list of hidden items. Rivals read the same text and are tuned on items hidden inside the "
        "training part."
    )
    rows = []
    for row in results["rows"]:
        for metric in ("rmse", "ndcg@10", "list ndcg@10"):
            levels = [f"{way[metric]['mean']:.4f}" if metric in way else "–" for way in row["ways"].values()]
            minus = [_signed(of[metric], 4) if metric in of else "–" for of in row["palate_minus"].values()]
            rows.append([row["set"], str(row["people"]), metric, *levels, *minus])
    first = results["rows"][0]
    head = ["set", "people", "metric", *first["ways"], *(f"palate minus {rival}" for rival in first["palate_minus"])]
    return f"{told}\n\n{table(head, rows)}"


def never_rated(results: dict[str, Any]) -> str:
    """RMSE and NDCG@10 of every way to see items, and everything fused against the best modality alone."""
    rows, fused = [], []
    for row in results["rows"]:
        for way, found in row["ways"].items():
            gain = row["minus_none"].get(way)
            rows.append(
                [
                    f"{row['set']} ({row['seeds']})",
                    way,
                    _interval(found["rmse"]),
                    _interval(gain["rmse"]) if gain else "–",
                    _interval(found["ndcg@10"]),
                    _interval(gain["ndcg@10"]) if gain else "–",
                    f"{found['coverage_95']:.1%}",
                ]
            )
        for way, gain in row.get("fused_minus_best_alone", {}).items():
            best = row["best_alone"]
            fused.append([row["set"], way, best, _interval(gain["rmse"], 4), _interval(gain["ndcg@10"], 4)])
    head = ["set (seeds)", "seen", "RMSE", "minus none", "NDCG@10", "minus none", "inside 95 % intervals"]
    return "\n\n".join(
        [table(head, rows), table(["set", "fused", "best alone", "RMSE, fused minus best", "NDCG@10"], fused)]
    )


def adaptation(results: dict[str, Any]) -> str:
    """RMSE with an adapted encoder, how often it was kept, and what always keeping it would have done."""
    rows = []
    for row in results["rows"]:
        own = [difference[0] for difference in row["own"]]
        rows.append(
            [
                f"{row['set']} ({row['seeds']})",
                f"{row['adapt']}, {row['encoder']}",
                _interval(row["rmse_plain"]),
                _interval(row["minus_plain"], 4),
                f"{row['kept']} of {row['seeds']}",
                f"{min(own):+.4f} to {max(own):+.4f}",
            ]
        )
    return table(
        [
            "set (seeds)",
            "adapted, encoder",
            "RMSE without",
            "with, minus without",
            "kept",
            "the fit's own difference, by seed",
        ],
        rows,
    )


def sequences(results: dict[str, Any]) -> str:
    """NDCG@10 of every model over the whole catalogue, and how far it is from the best."""
    rows = [
        [
            row["set"],
            str(row["seed"]),
            f"**{name}**" if name == row["best"] else name,
            _interval(found["ndcg@10"], 4),
            "–" if name == row["best"] else _interval(found["behind_best"], 4),
        ]
        for row in results["rows"]
        for name, found in row["models"].items()
    ]
    every = dict.fromkeys(name for row in results["rows"] for name in row["models"])
    lacking = [
        f"{row['set']} (seed {row['seed']}): " + ", ".join(name for name in every if name not in row["models"])
        for row in results["rows"]
        if len(row["models"]) < len(every)
    ]
    passes = [
        f"{row['set']} (seed {row['seed']}) {row['sasrec']['epochs']}"
        + (", stopped by the clock, so perhaps not at its best" if row["sasrec"]["stopped_by_clock"] else "")
        for row in results["rows"]
        if row["sasrec"]
    ]
    shown = [table(["set", "seed", "model", "NDCG@10", "minus the best"], rows)]
    if passes:
        shown.append(f"Passes of SASRec, the last four of which told held-out events no better: {'; '.join(passes)}.")
    if lacking:
        shown.append(f"Not run here: {'; '.join(lacking)}.")
    return "\n\n".join(shown)


def history(results: dict[str, Any]) -> str:
    """:func:`sequences`, and the error of predicted ratings after answers, by where taste starts."""
    rows = [
        [
            row["set"],
            str(row["seed"]),
            name,
            *(f"{start['mean'][n]:.3f} ({start['low'][n]:.3f} to {start['high'][n]:.3f})" for n in (0, 3, 10)),
            "–" if name == "none" else str(start["answers_saved_at_0"]),
        ]
        for row in results["rows"]
        for name, start in row.get("ratings", {}).items()
        if name not in ("users", "ratings")
    ]
    columns = ["set", "seed", "history", "RMSE, no answer", "3 answers", "10 answers", "answers it stands for"]
    told = "How far off predicted ratings are; a history stands for the answers that would get as near without one:"
    return "\n\n".join([sequences(results), told, table(columns, rows)])


def text_encoding(results: dict[str, Any]) -> str:
    """Rate beside sentence-transformers, and what it costs."""
    rows = [
        [
            row["backend"],
            f"{row['texts_per_second']:.0f}",
            f"{row['times_as_fast']['median']:.2f}",
            f"{row['times_less_processor_time']:.2f}",
            f"{row['cosine']['least']:.4f}",
            f"{row['spearman_least']:.4f}",
        ]
        for row in results["rows"]
    ]
    texts = ", ".join(f"{count:,} {name}" for name, count in results["texts"].items())
    vnni = "with" if results["vnni"] else "without"
    head = ["backend", "texts a second", "times as fast", "times less processor time", "least cosine", "least Spearman"]
    return (
        f"all-MiniLM-L6-v2 beside sentence-transformers' own `encode`, {results['threads']} threads, "
        f"{results['texts_a_seed']:,} texts a seed of {texts}, on a processor {vnni} VNNI, which "
        f"adds products of eight bits at once:\n\n{table(head, rows)}"
    )


def media_encoding(results: dict[str, Any]) -> str:
    """Images and clips a second, and what a linear probe gets out of the vectors."""
    rows = [
        [
            row["encoder"],
            row["files"],
            f"{row['encoded_a_second']:.1f}",
            f"{row['decoded_a_second']:.1f}",
            f"{row['network_a_second']:.1f}",
            f"{row['torch_network_a_second']:.1f}",
        ]
        for row in results["rows"]
    ]
    probes = [
        [
            row["set"],
            row["encoder"],
            f"{row['items']} in {row['classes']}",
            f"{row['accuracy']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})",
            f"{row['commonest']:.3f}",
        ]
        for row in results["probes"]
    ]
    head = ["encoder", "files", "encoded a second", "decoded", "network alone", "the same network in PyTorch"]
    probe = ["set", "encoder", "items", "accuracy (lowest and highest seed)", "always the commonest"]
    return f"On one core:\n\n{table(head, rows)}\n\nA linear probe in five folds:\n\n{table(probe, probes)}"


def encoding_scale(results: dict[str, Any]) -> str:
    """A large catalogue encoded and fitted: rate, memory, and what a kill loses."""
    (row,) = results["rows"]
    return (
        f"{row['items']:,} items with generated texts and {row['ratings']:,} ratings by `{row['encoder']}`: fitted in "
        f"{row['fit_seconds']:,.0f} s with a peak of {row['peak_megabytes']:,} MiB; {row['texts_per_second']:,.0f} "
        f"texts were encoded a second. Ended by SIGINT and then by SIGKILL while it encoded, the third run had "
        f"{row['encoded_after_both']:,} texts left; the fourth encoded {row['fitted_again']['encoded']} and took "
        f"{row['fitted_again']['seconds']:,.0f} s."
    )


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


def likes(results: dict[str, Any]) -> str:
    """A planted world, held-out likes and new people, beside a Gaussian fit, a Gibbs sampler and the fit before."""
    names = ("palate", "gaussian", "gibbs", "before", "item levels")
    planted = []
    for name in names:
        row = results["planted"][name]
        cells = [_interval(row[key]) if key in row else "–" for key in ("rmse", "palate minus this", "cover")]
        planted.append([name, *cells, f"{row['overlap']['mean']:.1f}"])
    held_out = [
        [str(row["split"]), name, f"{row[name]['auc']:.4f}", f"{row[name]['log_loss']:.4f}"]
        for row in results["held_out"]
        for name in names[:4]
    ]
    people = [
        [row["set"], str(row["seeds"]), *(_interval(row[name], 4) for name in ("palate", "before"))]
        for row in results["new_people"]
    ]
    head = ["fit", "RMSE of P(like)", "Palate's less this", "latent value in 95 % intervals", "two top tens share"]
    return "\n\n".join(
        [
            "1,000 people and 500 items with six planted tastes, 40,000 likes and dislikes. `gibbs` samples the same "
            f"model, `before` is the fit of commit {results['before']}:",
            table(head, planted),
            "MovieLens-100K, rated 4 or more or not, a tenth held out:",
            table(["split", "fit", "AUC", "log loss"], held_out),
            f"RMSE of P(like) of new people after {results['new_people'][0]['questions']} questions:",
            table(["set", "seeds", "palate", "before"], people),
        ]
    )


def ratings(results: dict[str, Any]) -> str:
    """Error, likelihood and intervals of held-out ratings, beside two Gibbs samplers and the fit before."""
    rows = []
    for row in results["rows"]:
        for name in ("palate", "before", "gibbs", "gibbs, noise of users"):
            one, minus = row[name], row.get(f"rmse minus {name}")
            rows.append(
                [
                    f"{row['set']}, {row['split']}",
                    name,
                    f"{one['rmse']:.4f}",
                    _interval(minus, 4) if minus else "–",
                    f"{one['negative_log_likelihood']:.4f}",
                    f"{one['coverage_95']:.1%}",
                    f"{one['std']:.3f}" if "std" in one else "–",
                ]
            )
    head = ["set, split", "fit", "RMSE", "Palate's less this", "negative log likelihood", "inside 95 %", "mean `std`"]
    told = (
        "A tenth held out. `gibbs` is Bayesian matrix factorisation (BPMF) with a noise of each item, or of each "
        f"user too; `before` is the fit of commit {results['before']}; `std` is of the expectation, without noise:"
    )
    return f"{told}\n\n{table(head, rows)}"


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


def memory_growth(results: dict[str, Any]) -> str:
    """One answer told as more and more users have told something, and what strangers leave behind."""
    rows = [
        [f"{int(told):,}", f"{row['median']:.0f}", f"{row['p99']:.0f}", f"{row['median_ratio']:.2f}"]
        for told, row in results["tell_microseconds"].items()
    ]
    left = results["strangers"]
    lines = [
        "Answers are kept in persistent maps: a `tell` copies no table. All sizes are timed in turn, one answer each.",
        table(["users who ever told", "`tell`, median µs", "p99 µs", "against the first"], rows),
        f"Questions to {left['asked']:,} strangers leave {left['kept']} states behind; the cache holds at most "
        f"{left['cache_holds_at_most']:,} of this size.",
    ]
    return "\n\n".join(lines)


def log_speed(results: dict[str, Any]) -> str:
    """Labels a second on the disk, and a log of a million rows."""
    single, batches, large = results["one_by_one"], results["batches"], results["large"]
    wait = results["append_milliseconds"]
    rates = [
        ["commits of one row each on a bare table, one thread", results["bare_commits_per_second"]],
        [f"labels one by one, {single['threads']} threads", single["labels_per_second"]],
        [f"labels in batches of {batches['labels_in_each']}, one thread", batches["labels_per_second"]],
    ]
    of_large = [
        ["opened, and one more label kept, seconds", f"{large['open_and_append_seconds']:.2f}"],
        ["a user's 200 labels read, milliseconds", f"{large['read_user_of_200_milliseconds']:.1f}"],
        ["rows read a second", f"{large['read_per_second']:,.0f}"],
        ["labels kept a second, in batches of 10,000", f"{large['append_per_second']:,.0f}"],
        ["verified, seconds", f"{large['verify_seconds']:.0f}"],
        ["bytes a row", f"{large['bytes_per_row']:.0f}"],
    ]
    return "\n\n".join(
        [
            "Every label is on the disk before the call returns; threads that wait share a commit. The machine did "
            "other work meanwhile, so the bare table says what the disk allowed in the same run.",
            table(["", "a second"], [[name, _interval(rate, 0)] for name, rate in rates]),
            f"One label takes {wait['median']:.1f} ms, of a hundred one more than {wait['p99']:.0f} ms.",
            table([f"a log of {large['rows']:,} labels", ""], of_large),
        ]
    )


def choice_scale(results: dict[str, Any]) -> str:
    """What the draw of options loses where something is named out of a large catalogue."""
    rows = [
        [
            f"{row['items']:,}",
            str(row["namings"]),
            _interval(row["error"]),
            f"{row['seconds']['draw']:.2f}",
            f"{row['seconds']['with the draw']:.3f}",
            f"{row['seconds']['with all']:.1f}",
            f"{row['times_faster']:,.0f}",
        ]
        for row in results["rows"]
    ]
    lines = [
        f"The {results['exact']:,} heaviest options count in full, {results['drawn']:,} drawn by weight are the rest. "
        "The error is of the mean taste, in posterior standard deviations; the draw is made once a model. "
        "Generated, 32 dimensions; seconds are medians.",
        table(["items", "named", "error", "draw, s", "heard with it, s", "with all, s", "times faster"], rows),
    ]
    return "\n\n".join(lines)


def fit_cost(results: dict[str, Any]) -> str:
    """Seconds of a sweep beside the version before and implicit, whole fits, and the belief of one user."""
    names = {"now": "palate", "before": f"palate before ({results['before']})"}
    sweeps = [
        [
            names.get(who, who),
            f"{row['best_seconds']:.2f}",
            f"{row['median_seconds']:.2f}",
            f"{row['best_cpu_seconds']:.2f}",
            f"{row['best_cpu_seconds'] / results['sweeps']['now']['best_cpu_seconds']:.2f}",
        ]
        for who, row in results["sweeps"].items()
    ]
    whole = [
        [
            names[row["who"]],
            str(row["sweeps"]),
            f"{row['fit_seconds']:.0f}",
            f"{row['fit_cpu_seconds']:.0f}",
            f"{row['mib']:,.0f}",
        ]
        for row in results["fits"]
    ]
    beliefs = [
        [row["kind"], str(row["answers"]), f"{row['best_ms']:.1f}", f"{row['median_ms']:.1f}", f"{row['mb']:.2f}"]
        for row in results["belief"]
    ]
    first = results["belief"][0]
    return "\n\n".join(
        [
            f"{results['ratings']:,} generated ratings of {results['users']:,} users and {results['items']:,} items, "
            f"{results['dimensions']} dimensions, {results['cores']} cores, the load of the machine "
            f"{results['load_before']:.1f} before and {results['load_after']:.1f} after. implicit is its ALS with "
            "Cholesky's factor. Where the load is above the cores, processor seconds, summed over them, say more.",
            table(["a sweep", "seconds, best", "median", "processor seconds, best", "over palate's"], sweeps),
            "Whole fits of so many sweeps, the start included:",
            table(["who", "sweeps", "seconds", "processor seconds", "MiB at most"], whole),
            f"The belief of one user, {first['items']:,} items, {first['dimensions']} dimensions:",
            table(["answers are", "number", "milliseconds, best", "median", "MB"], beliefs),
        ]
    )


def strategies(results: dict[str, Any]) -> str:
    """RMSE at ten questions of every contender, and where the default is behind."""
    default, place = results["default"], results["rows"][0]["stages"].index(10)
    hidden = {"random", "answerable-random", "ceiling"}
    names = [name for name in results["rows"][0]["strategies"] if name not in hidden]
    rows = []
    for row in results["rows"]:
        means = {name: row["strategies"][name]["rmse"]["mean"][place] for name in ("random", *names)}
        best = min(names, key=means.__getitem__)
        cells = [f"**{means[name]:.4f}**" if name == best else f"{means[name]:.4f}" for name in means]
        to_random = _stage(row["strategies"][default]["minus random"], place)
        rows.append([row["set"], row["pool"], *cells, to_random, _saved(row["strategies"][default]["saved"])])
    columns = ["set", "pool", "random", *(f"`{name}`" for name in names), f"`{default}` minus random", "saves"]
    behind = [
        f"{where} ({', '.join(f'`{name}`' for name in better)})"
        for where, better in results["distinguishably_worse"].items()
    ]
    verdict = (
        f"RMSE after 10 questions. The default, `{default}`, is behind another contender by more than the interval on: "
        f"{'; '.join(behind) or 'no set'}. What it saves: how many times fewer questions than random it needs for the "
        "RMSE that random has at the end."
    )
    return f"{verdict}\n\n{table(columns, rows)}\n\n{_open_pool(results, default)}"


def _open_pool(results: dict[str, Any], default: str) -> str:
    """How far the default is from popularity where most questions cannot be answered."""
    row = results["rows"][0]
    differences = row["strategies"][default]["minus popularity"]
    stages = [stage for stage in row["stages"] if stage in (5, 10, 20, 40)]
    cells = [f"{_stage(differences, row['stages'].index(stage))} at {stage}" for stage in stages]
    return f"`{default}` minus `popularity` on {row['set']}, pool `{row['pool']}`: {', '.join(cells)}."


def _stage(values: dict[str, list[float]], place: int, digits: int = 4) -> str:
    return _interval({end: values[end][place] for end in ("mean", "low", "high")}, digits)


def _saved(saved: dict[str, Any]) -> str:
    return (
        "never there"
        if saved["ratio"] is None
        else f"{saved['ratio']:.1f}× ({saved['low']:.1f} to {saved['high']:.1f})"
    )


def new_items(results: dict[str, Any]) -> str:
    """RMSE on the new item, whoever is asked about it."""
    rows = []
    for row in results["rows"]:
        for name, found in row["strategies"].items():
            if name in ("answerable-random", "ceiling"):
                continue
            means = [f"{found['rmse']['mean'][row['stages'].index(stage)]:.4f}" for stage in (5, 10, 20)]
            to_random = "–" if name == "random" else _stage(found["minus random"], row["stages"].index(10))
            to_active = (
                "–" if name in ("random", "popularity") else _stage(found["minus popularity"], row["stages"].index(10))
            )
            named = "most active people" if name == "popularity" else f"`{name}`"
            rows.append([row["set"], row["pool"], named, *means, to_random, to_active])
    columns = ["set", "pool", "who is asked", "5", "10", "20", "minus random, at 10", "minus most active, at 10"]
    return table(columns, rows)


def learning_items(results: dict[str, Any]) -> str:
    """What items learn between fits, beside a refit."""
    rows = [
        [row["set"], row["raters"], str(stage)]
        + [f"{row['rmse'][name][place]:.4f}" for name in ("unchanged", "learnt", "refitted")]
        + [f"{row['lost']['mean'][place]:+.2%} ({row['lost']['low'][place]:+.2%} to {row['lost']['high'][place]:+.2%})"]
        for row in results["new_items"]
        for place, stage in enumerate(row["stages"])
    ]
    bad, seconds = results["bad_item"], results["list_after_an_answer_seconds"]
    rating, share = bad["expected rating"], bad["share of lists"]
    return "\n\n".join(
        [
            "RMSE on new items after so many answers about each; lost is against a refit, below 0 is better. The "
            "raters are people of the data, or strangers who have told nothing else.",
            table(["data", "raters", "answers", "unchanged", "learnt", "refitted", "lost"], rows),
            f"An old item that a hundred strangers give the lowest rating: expected {rating['before']:.2f} before, "
            f"{rating['learnt']:.2f} after, {rating['refitted']:.2f} once refitted; in {share['before']:.0%}, "
            f"{share['learnt']:.0%} and {share['refitted']:.0%} of the lists of 20.",
            f"From an answer to somebody else's list at {seconds['items']:,} items of {seconds['dimensions']} "
            f"dimensions: {seconds['median']:.2f} s, at most {seconds['worst']:.2f} s.",
        ]
    )


def cold_system(results: dict[str, Any]) -> str:
    """RMSE and NDCG over all people, round by round."""
    rows = []
    for row in results["rows"]:
        for name, found in row["strategies"].items():
            rmse = [f"{value:.4f}" for value in found["rmse"]["mean"][1:]]
            to_random = "–" if name in ("random", "answerable-random", "ceiling") else _stage(found["minus random"], -1)
            rows.append([row["set"], f"`{name}`", *rmse, to_random, f"{found['ndcg@10']['mean'][-1]:.4f}"])
    stages = [f"RMSE at {stage}" for stage in results["rows"][0]["stages"][1:]]
    return table(["set", "strategy", *stages, "minus random, at the end", "NDCG@10 at the end"], rows)


def attributes(results: dict[str, Any]) -> str:
    """What knowing who a new user is saves."""
    rows = [
        [
            row["set"],
            ", ".join(row["attributes"]),
            *(_stage(row["with_minus_without"], place) for place in range(len(row["stages"]))),
        ]
        for row in results["rows"]
    ]
    head = ["set", "attributes", *(f"after {stage} answers" for stage in results["rows"][0]["stages"])]
    return f"RMSE with them minus without, asked by `{results['strategy']}`:\n\n{table(head, rows)}"


def item_attributes(results: dict[str, Any]) -> str:
    """What labels of items are worth as a feature, and how right a filter on them is."""
    features, filters = [], []
    for row in results["rows"]:
        for encoder, ways in row.get("encoders", {}).items():
            for way, found in ways.items():
                if "minus no labels" in found:
                    minus = (_interval(found["minus no labels"][measure], 4) for measure in ("rmse", "ndcg@10"))
                    features.append([row["set"], encoder, way, *minus])
        for found in row.get("filters", ()):
            if found["by"] == "lower" and found["floor"] == 0.9 and found["votes"] in (1, 3, 5):
                right = _interval(found["right"]) if found["right"] else "–"
                features_of = [row["set"], str(found["votes"]), str(found["gold"]), f"{found['passed']:.1%}", right]
                filters.append(features_of)
    return "\n\n".join(
        [
            "Items nobody has rated, with labels by noisy workers less without: RMSE below 0 and NDCG@10 above 0 are "
            "better.",
            table(["data", "text encoder", "labels", "RMSE", "NDCG@10"], features),
            "Items of real crowds that reach .9 by the lower bound, and how many of them are what is claimed.",
            table(["crowd", "votes an item", "gold items", "pass", "right"], filters),
        ]
    )


def question_kinds(results: dict[str, Any]) -> str:
    """The share of the gap to random-among-answerable closed at equal seconds."""
    seconds = ", ".join(f"{name} {value:g}" for name, value in results["seconds"].items())
    rows = []
    for name, found in (*results["references"].items(), *results["runs"].items()):
        means = [f"{value:.4f}" for value in found["rmse"]["mean"]]
        asked = ", ".join(
            f"{kind} {count['asked']:.1f}" for kind, count in found.get("kinds", {}).items() if count["asked"]
        )
        rows.append([name, *means, _interval(found["gap_closed"], 2), asked or "–"])
    stages = [f"RMSE in the time of {count}" for count in results["questions"]]
    assumed = (
        f"Seconds: {seconds} (`costs.py` says whence). The gap is that from popularity to random among "
        "what can be answered, at the time of 10 item questions. What the mix closes hangs on the seconds that passing "
        "over an unknown title takes: see the rows where `look` is longer."
    )
    head = ["asked", *stages, "share of the gap closed", "questions of each kind"]
    return f"{assumed}\n\n{table(head, rows)}"


def choices(results: dict[str, Any]) -> str:
    """Namings against the default's questions, answers heard two ways, and mixtures of forms at equal seconds."""
    seconds = ", ".join(f"{name} {value:g}" for name, value in results["seconds"].items())
    after, rounds = results["namings"], results["rounds"]
    heard = ", ".join(f"{count} of {form}" for form, count in rounds.items())
    parts = [
        "What is named is simulated from ratings; no real naming was seen. Minus as many questions of the default:",
        _namings(results, after),
        f"Answers heard as they are ({heard}), minus what is known without them, and minus other ways to hear them:",
        _hearings(results),
        f"Seconds of each user's time (assumed: {seconds}), minus items and pages at the same prices. The whole list "
        "is that out of the whole catalogue, and its NDCG@10 is of liked test items on it:",
        _mixtures(results),
    ]
    return "\n\n".join(parts)


def signs(results: dict[str, Any]) -> str:
    """NDCG@10 with signs and without, a row a log, list and way of hearing; and the strengths learnt."""
    ways = list(results["rows"][0]["catalogue"])
    rows = [
        [
            row["set"],
            of,
            way,
            _interval(found["ndcg@10"], 4),
            "–" if found["more"] is None else _interval(found["more"], 4),
        ]
        for row in results["rows"]
        for of in ("catalogue", "put before them")
        for way, found in ((way, row[of][way]) for way in ways)
    ]
    learnt = "; ".join(
        f"{row['set']}: {', '.join(f'`{word}` {_middle(values):g}' for word, values in row['strengths'].items())}"
        for row in results["rows"]
    )
    told = (
        "Lists of the whole catalogue, and of what was held out alone, for and against; more than without signs is "
        "paired by user."
    )
    shown = table(["log", "list of", "heard", "NDCG@10", "more than without signs"], rows)
    return f"{told}\n\n{shown}\n\nStrengths learnt, the middle of all seeds: {learnt}."


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _namings(results: dict[str, Any], after: Sequence[int]) -> str:
    rows = []
    for name, found in results["sets"].items():
        for naming, row in found["namings"].items():
            minus = row.get("minus lookahead")
            if minus is not None:
                first = [_stage(minus["ndcg@10"], place) for place in range(2)]
                then = [_stage(minus["rmse"], place) for place in (1, 2)]
                rows.append([f"{name} ({found['seeds']})", naming, *first, *then])
    columns = [f"NDCG@10 after {count}" for count in after[:2]] + [f"RMSE after {count}" for count in after[1:]]
    return table(["data (seeds)", "what is named", *columns], rows)


def _hearings(results: dict[str, Any]) -> str:
    rows = []
    for name, found in results["sets"].items():
        for form, row in found["hearings"].items():
            for less in (key for key in row if key.startswith("minus")):
                cells = [_stage(row[less][metric], 0) for metric in ("rmse", "ndcg@10", "list-ndcg@10")]
                rows.append([f"{name} ({found['seeds']})", form, less.removeprefix("minus "), *cells])
    return table(["data (seeds)", "answer", "minus", "RMSE", "NDCG@10", "whole list"], rows)


def _mixtures(results: dict[str, Any]) -> str:
    rows = []
    for name, found in results["sets"].items():
        for mixture, row in found["mixtures"].items():
            minus = row["minus items + pages"]
            if mixture.partition(":")[0] == "items + pages":
                continue
            for place, stage in enumerate(results["stages"]):
                cells = [_stage(minus[metric], place) for metric in ("rmse", "ndcg@10", "list-ndcg@10")]
                rows.append([f"{name} ({found['seeds of mixtures']})", mixture, f"{stage:g}", *cells])
    return table(["data (seeds)", "asked", "seconds", "RMSE", "NDCG@10", "whole list"], rows)


def stopping(results: dict[str, Any]) -> str:
    """What each criterion gives up, and whether a fixed number of questions would have done as well."""
    people = results["interviews"]
    rows = [
        [
            one["criterion"],
            f"{one['questions']:.1f}",
            _interval(one["rmse_minus_full"]),
            _interval(one["ndcg@10_minus_full"]),
            _interval(one["rmse_minus_same_number"]),
        ]
        for one in people["criteria"]
    ]
    head = ["criterion", "questions", "RMSE given up", "NDCG@10 given up", "RMSE minus the same number for all"]
    return f"{people['set']}, up to {people['budget']} questions by `{people['strategy']}`:\n\n{table(head, rows)}"


def text_classification(results: dict[str, Any]) -> str:
    """Area under the curve, over that of random, and seconds a batch."""
    rows = [
        [
            row["set"],
            one["from"],
            one["strategy"],
            f"{one['area']:.4f}",
            _interval(one["area_over_random"]),
            f"{one['accuracy_at_100']:.3f}",
            f"{1000 * one['seconds_a_batch']:.1f}",
        ]
        for row in results["rows"]
        for one in row["strategies"]
    ]
    head = ["set", "from", "strategy", "area", "over random", "accuracy at 100 labels", "milliseconds a batch"]
    return table(head, rows)


def agreement(results: dict[str, Any]) -> str:
    """Largest differences to the peers' values."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rows = [[row["peer"], row["value"], f"{row['largest_gap']:.1e}", row["why"] or "–"] for row in results["rows"]]
    return f"{versions}.\n\n{table(['peer', 'value', 'largest difference', 'why'], rows)}"


def catalogue_scale(results: dict[str, Any]) -> str:
    """One pass against one product, the next question, and peers."""
    passes = [
        [f"{row['items']:,}", name, f"{row[name]['best_ms']:.1f}", f"{row[name]['best_ratio']:.1f}"]
        for row in results["one_pass"]
        for name in row
        if isinstance(row[name], dict)
    ]
    turns = [
        [f"{row['items']:,}", str(row["dimensions"]), f"{row['p50_ms']:.0f}", f"{row['p99_ms']:.0f}"]
        for row in results["next_question"]
    ]
    lists = [
        [
            f"{size['items']:,}",
            str(row["events"]),
            str(row["answers"]),
            f"{row['best_ms']:.0f}",
            f"{row['median_ms']:.0f}",
            f"{size['model_mb']:,.0f}",
        ]
        for size in results.get("list", [])
        for row in size["rows"]
    ]
    pools = [
        [row["job"], row["who"], f"{row['items']:,}", f"{row['seconds']:.3f}", f"{row['mib']:,.0f}"]
        for row in results["pools"]
    ]
    return "\n\n".join(
        [
            "One pass over the catalogue, 64 dimensions, 8 answers, against one float32 matrix-vector product:",
            table(["items", "pass", "milliseconds, best", "products"], passes),
            "From an answer to the next question:",
            table(["items", "dimensions", "median, milliseconds", "99th percentile"], turns),
            "A list of ten, 16 dimensions, cosines with a hundred neighbours an item and a walk to twenty:",
            table(["items", "events", "answers", "milliseconds, best", "median", "MB of the model"], lists),
            "Choosing 10 of a pool of 64 features, beside peers:",
            table(["choice", "who", "pool", "seconds", "MiB"], pools),
            "![Seconds against the size of the pool](images/pools.png)",
        ]
    )


def list_questions(results: dict[str, Any]) -> str:
    """Quality of the list after so many questions, by way to ask, and less that of rivals."""
    parts = [
        "NDCG@10 of the list of ten out of the whole catalogue, over the users who like anything of the half that "
        "nothing is asked about. In brackets 95 % intervals over people; differences are paired."
    ]
    for row in results["rows"]:
        shown = [stage for stage in (0, 2, 5, 10, 20) if stage in row["stages"]]
        places = [row["stages"].index(stage) for stage in shown]
        levels = [
            [f"`{name}`", *(_stage(way["list-ndcg@10"], place, 3) for place in places), f"{way['answered'][-1]:.1f}"]
            for name, way in row["ways"].items()
        ]
        parts.append(f"{row['set']}, {row['seeds']} seeds, {row['users']:,} people:")
        parts.append(table(["questions by", *map(str, shown), "answers"], levels))
        ours = row["ways"][results["default"]]
        rivals = [
            [rival.removeprefix("minus "), *(_stage(ours[rival], place, 3) for place in places[1:])]
            for rival in ours
            if rival.startswith("minus ")
        ]
        parts.append(table([f"`{results['default']}` less", *map(str, shown[1:])], rivals))
    if "chosen" in results:
        gains = [[f"`{name}`", f"{gain:+.4f}"] for name, gain in results["chosen"]["gains"].items()]
        parts.append(
            "Chosen on users held back inside the training part: NDCG@10 less that of questions about popular items, "
            "mean over the sets and over 2, 5, 10 and 20 questions:"
        )
        parts.append(table(["questions by", "less popular items"], gains))
    return "\n\n".join(parts)


def semi_supervised(results: dict[str, Any]) -> str:
    """What pseudo-labels change."""
    people = [
        [row["set"], name.removeprefix("with content: "), _interval(found["rmse_minus_none"], 4)]
        for row in results["people"]
        for name, found in row.items()
        if name.startswith("with content: ") and name.endswith(("default", "unchecked"))
    ]
    texts = [
        [row["set"], labels, name, _interval(found["minus_none"]), f"{found['pseudo_labels']:.0f}"]
        for row in results["texts"]
        for labels, ways in row.items()
        if isinstance(ways, dict)
        for name, found in ways.items()
        if name.endswith("default")
    ]
    return "\n\n".join(
        [
            "New users, RMSE less that without pseudo-labels:",
            table(["set", "pseudo-labels", "difference"], people),
            "Texts to classify, accuracy less that without:",
            table(["set", "labels", "pseudo-labels", "difference", "how many"], texts),
        ]
    )


def textbook(results: dict[str, Any]) -> str:
    """Accuracy by labels of the textbook loop."""
    shown = [labels for labels in (10, 20, 50, 100) if labels in results["labels"]]
    rows = [
        [
            f"`{row['strategy']}`",
            str(row["drawn_at_random"]),
            *(_stage(row["accuracy"], results["labels"].index(labels), 3) for labels in shown),
        ]
        for row in results["rows"]
    ]
    return table(["strategy", "drawn at random, of ten", *(f"{labels} labels" for labels in shown)], rows)


def reasons(results: dict[str, Any]) -> str:
    """Whether reasons differ and are true, and how many titles the lists show."""
    people, rows, kinds = results["people"], [], []
    for row in results["rows"]:
        few = "{mean:.1%} ({low:.1%} to {high:.1%})".format(**row["few"])
        titles = [f"{row['titles']:,} of {row['items']:,}", f"{row['titles_by_rating']:,}"]
        named = [f"{row['named']:,}", f"{row['named_is_most']:.1%}", f"{row['least_share']:.2f}"]
        rows.append([f"{row['set']} ({row['seed']})", few, f"{row['different']:.1f}", *titles, *named])
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in row["kinds"].items())
        kinds.append([row["set"], shares, f"{row['own_after_answers']:.0%}"])
    head = [
        "set (seed)",
        "fewer than five different",
        "different",
        "titles",
        "by expected rating",
        "naming what was met",
    ]
    head += ["naming what adds most", "least share of that"]
    return "\n\n".join(
        [
            f"Lists of ten for {people} people of each set, and the titles that all of them show together:",
            table(head, rows),
            "Kinds, and how many speak of the answers of somebody who answered a pair, a group and a concept alone:",
            table(["set", "kinds", "after answers"], kinds),
        ]
    )


def _of_three(value: list[float], digits: int = 3) -> str:
    return _interval(dict(zip(("mean", "low", "high"), value, strict=True)), digits)


def drift(results: dict[str, Any]) -> str:
    """What fading answers are worth where tastes turn, where they stay, and on real ratings; who is named."""
    rows, notes = [], []
    for row in results["rows"]:
        parts = ("after the turn", "of those who stayed", "all windows")
        for part in filter(row.__contains__, parts):
            for name, found in row[part].items():
                minus = _of_three(found["minus never"]) if any(found["minus never"]) else "–"
                late = _of_three(found["minus popular lately"]) if any(found["minus popular lately"]) else "–"
                rows.append([row["set"], part, name, _of_three(found["ndcg@10"]), minus, late])
        chosen, named = row["half-life chosen, days"], row["named by drift"]
        told = "none" if chosen is None else f"{chosen:g} days"
        people = {key: value for key, value in named.items() if key.startswith(("of ", "share"))}
        shares = ", ".join(f"{value:.1%} {key.removeprefix('share ')}" for key, value in people.items())
        overall = "also of all together" if named["overall"] else "not of all together"
        notes.append(
            f"- {row['set']}: the half-life that a fit chooses is {told}; drift is told of {shares}, {overall}."
        )
    head = ["set", "of", "answers fade, or list", "NDCG@10", "minus answers that never fade", "minus popular lately"]
    people = (
        "On MovieTweetings popularity counts everybody's ratings; Palate is told those of the people drawn, and "
        "where it says so everybody's."
    )
    return f"{table(head, rows)}\n\n{people}\n\n" + "\n".join(notes)


def crowds(results: dict[str, Any]) -> str:
    """Accuracy, honesty and speed on votes whose truth is known; choosing; clones; numbers."""
    rows = []
    for row in results["sets"]:
        ece = row["ece"]
        shares = [f"{row[name]:.4f}" for name in ("majority", "crowd-kit", "palate")]
        honest = [f"{ece['one']:.3f}", f"{ece['half']:.3f}", _interval(ece["gold"])]
        rows.append(
            [
                f"{row['set']} ({row['items']:,}, {row['votes']:,}, {row['classes']})",
                *(shares[0], f"{shares[1]} ± {row['standard_error']:.4f}", shares[2], f"{row['once']['mean']:.4f}"),
                *(f"{max(row['gap'], row['gap_onward']):.0e}", f"{row['microseconds']:.0f}", *honest),
            ]
        )
    head = ["set (items, votes, options)", "majority", "crowd-kit, ± standard error", "Palate", "one pass"]
    head += ["from batch, at most", "µs a vote", "ECE, τ = 1", "τ = .5", f"τ on {results['gold']} gold items"]
    stages = [name for name in results["choice"][0] if name.isdigit()]
    chosen = [
        [row["set"], row["rule"], *(_interval(row[n]) if n in row else "" for n in stages)] for row in results["choice"]
    ]
    arms = ("people", "once", "copies", "alone", "gap")
    clones = [
        [f"{row['people']['mean']:.4f}", f"{row['accuracy']:g}", f"{row['slips']:g}"]
        + [f"{row[arm]['mean']:.4f}" for arm in arms[1:4]]
        + [_interval(row["gap"], 4)]
        for row in results["clones"]
    ]
    numbers = [
        [row["way"], *(_interval(row[name]) for name in ("with_mean", "with_median", "with_mean_gap"))]
        for row in results["numbers"]
    ]
    return "\n\n".join(
        [
            "Accuracy of all votes; how far one vote at a time, in ten orders, comes from all at once; expected "
            "calibration error (ECE), before gold and with it.",
            table(head, rows),
            "Accuracy after so many votes an item, by which item each worker is given.",
            table(["set", "rule", *stages], chosen),
            "Product pairs with a simulated model, once and as four copies in one family; *alone* gives each copy a "
            "vote. *Slips* are the answers in which a copy differs; the gap is copies less once.",
            table(["people alone", "model right", "slips", "once", "copies", "alone", "gap"], clones),
            "Offensiveness of comments from four ratings: correlation with the mean and the median of all others.",
            table(["way", "mean of others", "median of others", "less the mean's"], numbers),
        ]
    )


def label_quality(results: dict[str, Any]) -> str:
    """When bad annotators are flagged, how often good ones are, and what it is worth to count the bad for nothing."""

    def share(of: dict[str, float]) -> str:
        return f"{of['share']:.1%} ({of['low']:.1%} to {of['high']:.1%}) of {of['of']:,}"

    rows = [[kind, share(of["within"]), f"{of['median']:.0f}"] for kind, of in results["flagged"].items()]
    wrong = (
        f"Good ones flagged within {results['labels']} labels, looked at twelve times: {share(results['false'])} "
        f"where others are bad, {share(results['false where nobody is bad'])} where nobody is."
    )
    lists = [[name, _interval(value)] for name, value in results["rmse of new users"].items()]
    within = f"flagged within {results['within']} labels"
    return "\n\n".join(
        [
            "Twenty annotators, four options, five votes an item, one question in four of a known answer. `turned`: "
            "another option than the one they see, from label 40 on; `agreed`: two who say what they agreed on; "
            "`quick`: any answer, in 200 ms.",
            table(["annotators", within, "median labels until then"], rows),
            wrong,
            "New users of a planted world of whom annotators say what they like, a tenth of them upside down:",
            table(["", "RMSE of what is expected of them"], lists),
        ]
    )


def honest_labels(results: dict[str, Any]) -> str:
    """How many labels people give for a promised share of right ones, how often it is missed, what money buys."""

    def share(of: dict[str, float]) -> str:
        return f"{of['share']:.0%} ({of['low']:.0%} to {of['high']:.0%})"

    rows = [
        [
            row["set"],
            _interval(row["human_share"], 2),
            f"{row['human_share_of_the_design']:.2f}",
            share(row["missed"]),
            f"{_interval(row['accuracy'])}, worst {row['worst']:.3f}",
        ]
        for row in results["rows"]
    ]
    money = [
        [
            row["set"],
            f"{row['accuracy']['mean']:.3f}",
            _interval(row["at_equal_money"]["people"]),
            _interval(row["at_equal_money"]["machine"]),
            _interval(row["at_equal_money"]["ours_minus_the_better"]),
            share(row["at_equal_money"]["below_the_better"]),
        ]
        for row in results["rows"]
    ]
    rules = [
        [row["pool"], row["rule"], _interval(row["human_share"], 2), share(row["missed"])] for row in results["rules"]
    ]
    n, target = len(results["seeds"]), results["target"]
    return "\n\n".join(
        [
            f"{n} campaigns a set, pools of {results['pool']}, {target:.0%} of the labels promised to be right with a "
            f"doubt of {results['doubt']:.0%}. The machine is a softmax on the frozen default encoder.",
            table(["set", "labelled by people", "the prototype", "promise missed", "right"], rows),
            "At equal money: people label random items and the rest gets their commonest option, or the machine labels "
            "it that learnt from as many random ones.",
            table(["set", "ours", "people", "machine", "ours less the better of the two", "below it"], money),
            "How a bound can hold at every look, on generated pools:",
            table(["pool", "rule", "labelled by people", "promise missed"], rules),
        ]
    )


def learnt_reliability(results: dict[str, Any]) -> str:
    """Error of what is expected of newcomers, with the reliability of an annotator learnt, and typed."""
    rows = [
        [
            f"{row['reliability']:g}",
            f"{row['believed_in_the_end']:.2f}",
            f"{row['rmse']['learnt']:.3f}",
            *(_interval(value) for value in row["learnt_minus"].values()),
        ]
        for row in results["rows"]
    ]
    typed = [f"less {name}" for name in results["rows"][0]["learnt_minus"]]
    return "\n\n".join(
        [
            f"A planted world, {results['newcomers']} newcomers, {results['budget']:g} to spend on each: an answer of "
            f"their own costs {results['prices']['user']:g}, one of an annotator {results['prices']['annotator']:g}. "
            "RMSE of what is expected of them; below 0 learnt is better. Its gold is paid out of the same budgets.",
            table(["ρ", "believed in the end", "RMSE, learnt", *typed], rows),
        ]
    )


def off_policy(results: dict[str, Any]) -> str:
    """Clicks in a thousand that another policy would have had, beside those it had."""
    rows = []
    for row in results["rows"]:
        earned = [
            _interval({end: 1000.0 * value for end, value in found.items()}, 1)
            for found in (row["earned in its own log"], *(row["palate"][name] for name in ("ips", "snips", "dr")))
        ]
        rows.append([row["campaign"], row["shown by"], row["estimated"], f"{row['effective']:.0f}", *earned])
    head = ["campaign", "shown by", "estimated", "effective rows", "its own log", "IPS", "SNIPS", "doubly robust"]
    apart, versions = max(row["apart"] for row in results["rows"]), results["rows"][0]["versions"]
    return (
        f"Open Bandit, clicks in 1,000 rows; 10,000 rows a log. obp {versions['obp']} gives the same estimates from the"
        f" same numbers: the largest difference is {apart:.0e}.\n\n{table(head, rows)}"
    )


def pages(results: dict[str, Any]) -> str:
    """Milliseconds until something is on the screen."""
    rows = [
        [one["what"], str(one["n"]), f"{one['p50_ms']:.0f}", f"{one['p99_ms']:.0f}", f"{one['max_ms']:.0f}"]
        for one in results["rows"]
    ]
    told = (
        f"{results['items']:,} items, Chromium and the service on {results['cores']} cores; the load of the machine "
        f"was {results['load']:.1f} before. The next card is there before the answer, so it waits for no server."
    )
    return f"{told}\n\n{table(['from the key, or the request', 'n', 'median, ms', 'p99', 'most'], rows)}"


def service_load(results: dict[str, Any]) -> str:
    """Calls a second, waits, and processor time beside an empty route; and what an overload does."""
    rows = [
        [
            row["what"],
            f"{row['per_second']:,.0f}",
            f"{row['p50_ms']:.0f}",
            f"{row['p99_ms']:.0f}",
            f"{row['cpu_us']:,.0f}",
            _interval(row["ratio_to_empty"]),
        ]
        for row in results["rows"]
    ]
    over = results["overload"]
    told = (
        f"{results['items']:,} items, {results['connections']} connections, client and service on {results['cores']} "
        "cores. The ratio is to an empty FastAPI route called in turn; a batch is 100 labels."
    )
    shed = (
        f"Four times too many lists for 15 s, and labels beside them: {over['lists'].get('503', 0):,} lists shed, "
        f"{sum(n for status, n in over['labels'].items() if status != '200')} labels; p99 of accepted labels "
        f"{over['accepted_labels_p99_ms']:,.0f} ms, of accepted lists {over['accepted_lists_p99_ms']:,.0f} ms."
    )
    head = ["call", "a second", "median, ms", "p99, ms", "processor, µs a call", "rate over the empty route's"]
    return f"{told}\n\n{table(head, rows)}\n\n{shed}"


def service_restart(results: dict[str, Any]) -> str:
    """A start on a long log, the belief of a user out of it, memory as users are read."""
    belief, memory = results["belief_milliseconds"], results["memory_mib"]
    rows = [
        [name, f"{of['label_seconds']:.1f}", f"{of['list_seconds']:.1f}" if "list_seconds" in of else "–"]
        for name, of in (
            ("all rows to be read", results["without_beliefs"]),
            ("what items have learnt is kept", results["with_beliefs"]),
        )
    ]
    told = (
        f"{results['labels']:,} labels of {results['users']:,} users in the log, {results['items']:,} items. Seconds "
        "from the start of the process, the model's reading included."
    )
    found = (
        f"A replay of all takes in {results['replay_labels_per_second']:,.0f} labels a second. The belief of a user "
        f"from {results['answers_of_one']} answers, read and replayed: {belief['median']:.1f} ms, "
        f"{belief['most']:.1f} at most. Memory after the beliefs of {memory[0][0]:,} users {memory[0][1]:,.0f} MiB, "
        f"after those of {memory[-1][0]:,} users {memory[-1][1]:,.0f} MiB."
    )
    return f"{told}\n\n{table(['start', 'first label kept, s', 'first list, s'], rows)}\n\n{found}"


def annotators(results: dict[str, Any]) -> str:
    """Whether many annotators get the order of one, and nothing is lost or given twice."""
    rows = [
        [
            str(row["seed"]),
            f"{row['answers']:,}",
            f"{row['answers_per_second']:.1f}",
            f"{row['pairs_twice']}, {row['leases_lost']}, {row['answers_lost']}, {row['answers_doubled']}",
            f"{row['rank_correlation']:.3f}",
            f"{row['few']['rank_correlation']:.3f}, {row['few']['control_rank_correlation']:.3f}",
            f"{row['next_ms']['p50']:.0f}, {row['next_ms']['p99']:.0f}",
            f"{row['label_ms']['p50']:.0f}, {row['label_ms']['p99']:.0f}",
        ]
        for row in results["rows"]
    ]
    few = results["rows"][0]["few"]
    told = (
        f"{results['annotators']} annotators over HTTP for {results['seconds']:.0f} s, {results['per_second']:g} "
        f"answers a second each, about the taste of {results['users']} people of MovieLens-100K, on "
        f"{results['cores']} cores with the annotators on them. The rank correlation (Spearman) is with the order in "
        f"which one annotator alone is asked; the other is about {few['users']} people and {few['compared']} pairs, "
        "with a control that does not count what is leased as answered. Waits in ms: median, 99 of 100."
    )
    head = [
        "seed", "answers", "a second", "pairs twice, leases lost, answers lost, doubled", "rank correlation",
        "few people, control", "next", "label",
    ]  # fmt: skip
    return f"{told}\n\n{table(head, rows)}"


def scale(results: dict[str, Any]) -> str:
    """Fits on shards: seconds and memory beside peers, how they grow, and what a model of their cost says of more."""
    parts = {"ratings": _scale_ratings, "events": _scale_events, "large": _scale_large, "overhead": _scale_overhead,
             "rates": _scale_rates, "target": _scale_target}  # fmt: skip
    return "\n\n".join(part(results["rows"][name]) for name, part in parts.items() if name in results["rows"])


def _fit_row(name: str, fit: dict[str, Any]) -> list[str]:
    wall, busy = median(fit["sweep_seconds"]), median(fit["sweep_cpu_seconds"])
    return [name, f"{wall:.2f}", f"{busy:.2f}", f"{fit['mib']:,.0f}"]


def _scale_ratings(row: dict[str, Any]) -> str:
    rows = [_fit_row(name, fit) for name, fit in row["fits"].items()]
    spark, best = row["spark"], row["spark"]["settings"][row["spark"]["best"]]
    rows.append(["Spark MLlib ALS", f"{spark['settings'][0]['iteration']:.2f}", "–", "–"])
    rows.append(["implicit, Cholesky", f"{median(row['implicit']['settings'][0]['iteration']):.2f}", "–", "–"])
    rmse, apart = row["rmse"], row["squared_error_ours_minus_spark"]
    told = (
        f"`{row['command']}`: {row['ratings']:,} generated ratings, {row['users']:,} users, {row['items']:,} items, "
        f"16 dimensions, {row['cores']} cores. Seconds of a sweep, or of an iteration of a peer; memory of the process "
        "at its fullest."
    )
    found = (
        f"RMSE of ratings held out: Palate {rmse['palate']:.4f}, Spark {rmse['spark']:.4f} with the penalty "
        f"{best['reg']:g} of those tried; squared error of ours minus theirs {_interval(apart, 4)}."
    )
    return f"{told}\n\n{table(['fit', 'seconds a sweep', 'of processor', 'MiB'], rows)}\n\n{found}"


def _scale_events(row: dict[str, Any]) -> str:
    seconds = {
        "palate": [one for setting in row["palate"]["settings"] for one in setting["sweep_seconds"]],
        "implicit": [one for setting in row["implicit"]["settings"] for one in setting["iteration"]],
        "spark": [row["spark"]["settings"][0]["iteration"]],
    }
    rows = [
        [name, f"{value:.4f}", f"{median(seconds[name]):.2f}" if name in seconds else ""]
        for name, value in row["ndcg@10"].items()
    ]
    apart = ", ".join(f"{name} {_interval(value, 4)}" for name, value in row["ours_minus"].items())
    told = f"`{row['command']}`: {row['events']:,} events, what {row['people']:,} people did next. Ours minus {apart}."
    return f"{told}\n\n{table(['', 'NDCG@10', 'seconds a sweep'], rows)}"


def _scale_large(row: dict[str, Any]) -> str:
    rows = [
        [f"{one['events']:,}", f"{one['sharding']:.0f}", *_fit_row("", one)[1:], f"{one['predicted']['mib']:,.0f}"]
        for one in row["rows"]
    ]
    told = f"`{row['command']}`: events of 85 a user on 50,000 items, 32 dimensions, on {row['cores']} cores."
    head = ["events", "seconds to shard", "seconds a sweep", "of processor", "MiB", "MiB by the model"]
    picture = f"![Seconds of processor of a sweep against events, on a line of slope one](images/{SHARDS.name})"
    return "\n\n".join([told, table(head, rows), *([picture] if len(rows) > 1 else [])])  # one size shows no growth


def _scale_overhead(row: dict[str, Any]) -> str:
    here, ray = (median(row["fits"][name]["sweep_cpu_seconds"]) for name in ("in-process", "ray"))
    return (
        f"`{row['command']}`: processor seconds of a sweep over {row['ratings']:,} ratings, {here:.2f} in one process, "
        f"{ray:.2f} by Ray with one worker: {ray / here - 1.0:+.0%}."
    )


def _scale_rates(row: dict[str, Any]) -> str:
    errors = ", ".join(f"{name}s {value:.0%}" for name, value in row["mean_relative_error"].items())
    rows = [[f"`{name}`", f"{value:.2g}"] for name, value in row["rates"].items()]
    told = f"`{row['command']}`: seconds of one core, as the cost model counts. Mean relative error: {errors}."
    return f"{told}\n\n{table(['of each', 'seconds'], rows)}"


def _scale_target(row: dict[str, Any]) -> str:
    rows = [
        [str(one["nodes"]), f"{one['compute']:.0f}", f"{one['network']:.0f}", f"{one['fit'] / 60.0:.0f}",
         f"{sum(one['memory'].values()) / 1e9:.0f}", f"{sum(one['sent'].values()) / 1e9:.0f}", f"{one['dollars']:.1f}"]
        for one in row["rows"]
    ]  # fmt: skip
    told = (
        "By the cost model, **extrapolated, run by nobody**: ten million users, a million items, 10⁹ events, 64 "
        "dimensions, 40 sweeps, float32, on nodes of 16 cores with 12.5 Gbit/s."
    )
    head = ["nodes", "computing, s a sweep", "network, s", "minutes", "GB a node", "GB received a sweep", "dollars"]
    return f"{told}\n\n{table(head, rows)}"


def question_privacy(results: dict[str, Any]) -> str:
    """What a log of questions says of the answers, in bits, by where and how they are chosen."""
    rows = [
        [
            row["where"],
            row["asks"],
            f"`{row['by']}`" if row["by"] != "all items" else "expected gain",
            f"{sum(row['bits']) / len(row['bits']):.2f}",
            f"{min(row['bits']):.2f} to {max(row['bits']):.2f}",
        ]
        for row in results["rows"]
    ]
    told = (
        f"All ways to give {results['answers']} answers of two, in {len(results['seeds'])} generated worlds: bits of "
        f"the answers, of {results['answers']}, that the log of the questions gives away. 0: it is the same whatever "
        "is answered."
    )
    return f"{told}\n\n{table(['where', 'asked, and answered', 'chosen by', 'bits, mean', 'over worlds'], rows)}"


def federated(results: dict[str, Any]) -> str:
    """The federated, private fit beside the central one and other mechanisms, set by set, and a round of a device."""
    named = ", ".join(f"{name} {value:g}" for name, value in results["settings"].items())
    parts = [
        "ε is user-level, over all rounds, at δ = 1e-5; a fifth of each user's ratings is held out. NDCG@10 is of a "
        "user's own test items, what is at least the mean rating being liked; that of lists is of the whole catalogue, "
        "by P(answers) · P(likes). The worlds have the items of MovieLens-100K with their text, and obey the model: "
        "read the order. Settings are the defaults for all rows, chosen by RMSE on worlds of 10,000 users of the seeds "
        f"1,000 to 1,002, and looked at on that of seed 0 ({named}); those of DPALS-like on one of these, from 16: "
        "for 100,000 users others would suit it better, as the order of its rows shows.",
    ]
    for row in results["rows"]:
        if "ways" in row:
            parts += [f"{row['set']}, {row['seeds']} seed{'s' if row['seeds'] > 1 else ''}:", _federated_ways(row)]
    for row in results["rows"]:
        if "devices" in row:
            times = ", ".join(f"{one['median_ms']:.1f} ms for {one['answers']:,} answers" for one in row["devices"])
            parts.append(
                f"A round of one device at {row['items']:,} items and {row['dimensions']} dimensions: {times}, one "
                f"core, before masks; {row['numbers']:,} numbers up, {row['bytes_of_32_bits']:,} bytes at 32 bits and "
                f"{row['bytes_of_64_bits']:,} at 64; {row['model_bytes']:,} bytes of the model down."
            )
    return "\n\n".join(parts)


def _federated_ways(row: dict[str, Any]) -> str:
    shown = {"rmse": "RMSE", "ndcg@10": "NDCG@10", "list ndcg@10": "NDCG@10 of lists", "published": "the rule takes it"}
    columns = {key: said for key, said in shown.items() if any(key in way for way in row["ways"].values())}
    alone = row["seeds"] == 1

    def cell(way: dict[str, Any], key: str) -> str:
        if key not in way:
            return "–"
        if key == "published":
            return f"{way[key]['mean']:.0%}"
        return f"{way[key]['mean']:.4f}" if alone else _interval(way[key], 4)

    rows = [[name, *(cell(way, key) for key in columns)] for name, way in row["ways"].items()]
    return table(["fit", *columns.values()], rows)


def federated_audit(results: dict[str, Any]) -> str:
    """What a canary shows of the claimed ε, and that too little noise is caught."""
    rows = [
        [
            f"{name}, seed {row['seed']}",
            f"{row['runs']:,}",
            f"{row['claimed']['epsilon']:g} (μ {row['claimed']['mu']:.3f})",
            f"{row['mu of the canary']:.3f}",
            f"{row['mu']['mean']:.3f} ± {row['mu']['half width']:.3f}",
            f"{row['epsilon at least']['by (epsilon, delta)']:.2f}",
            f"{row['epsilon at least']['by Gaussian DP']:.2f}",
        ]
        for name, row in [*(("as it is", row) for row in results["rows"]), ("a third of the noise", results["control"])]
    ]
    told = (
        f"One user in or out of a line of {results['rounds'] + 1} openings, {results['items']} items; the exact "
        "likelihood ratio after all of them. ε at least: from the errors of a threshold, Clopper-Pearson, 95 %."
    )
    head = ["noise", "runs", "claimed ε", "μ by the canary's length", "μ seen", "ε at least", "by Gaussian DP"]
    return f"{told}\n\n{table(head, rows)}"


def federated_attack(results: dict[str, Any]) -> str:
    """AUC of the attacks on memberships, by what is claimed."""
    rows = [
        [name, _interval(row["likelihood ratio"]), _interval(row["shift"]), f"{row['any attack at most']:.3f}"]
        for name, row in results["lines"].items()
    ]
    told = (
        f"MovieLens-100K, random halves of its people, {results['shadows']} shadow lines, {len(results['seeds'])} "
        "targets; AUC of who took part against who did not. The last column is what (ε, δ) leaves to an attack that "
        "sees every opening and all other answers."
    )
    return f"{told}\n\n{table(['line', 'LiRA', 'shift', 'any attack at most'], rows)}"


def list_membership(results: dict[str, Any]) -> str:
    """AUC of the attack on memberships from lists, by what serves them and what strangers told."""
    rows = [
        [f"{line}, strangers {told}", _interval(row["all features"]), _interval(row["distance"])]
        for line, found in results["lines"].items()
        for told, row in found.items()
    ]
    told = (
        f"MovieLens-100K in thirds of its people: the attacker's own, those of {results['shadows']} shadows, those of "
        f"{len(results['seeds'])} targets. The attacker sees what a person rated and the first {results['list']} items "
        "of their list. AUC of who was in the fit against who was not, by a logistic regression on "
        f"{', '.join(results['features'])}; intervals are over the targets, which share their people."
    )
    return f"{told}\n\n{table(['lists', 'all features', 'distance alone'], rows)}"


def federated_rounds(results: dict[str, Any]) -> str:
    """A round over HTTP with drop-outs: what is in the sum, and what it takes."""
    columns = [
        "seed",
        "devices",
        "gone",
        "in the sum",
        "as in one process",
        "a device, ms",
        "bytes of the upload",
        "server, processor s",
        "server, MiB",
        "opening, s",
        "opened below the minimum",
    ]
    rows = [
        [
            str(row["seed"]),
            f"{row['devices']:,}",
            f"{row['gone']:.0%}",
            f"{row['in_the_sum']:,}",
            "to the bit" if row["equal"] else "no",
            f"{sum(row['device_ms'].values()):.0f}",
            f"{row['upload_bytes']:,}",
            f"{row['server_processor_seconds']:.1f}",
            f"{row['server_mib']:.0f}",
            f"{row['opening_seconds']:.1f}",
            "nothing" if (row["given_up"], row["round_after"], row["spendings"]) == (1, 2, 1) else "something",
        ]
        for row in results["rows"]
    ]
    return (
        f"{results['items']:,} items, {results['dim']} dimensions, groups of {results['group_size']} and more, a "
        f"minimum of {results['minimum']}. A tenth goes after each of three steps; who sent a vector is in the sum. "
        "A device's milliseconds are of the processor, all steps of a round together, its calls included. In the round "
        f"after it seven in ten go after the first step.\n\n{table(columns, rows)}\n\nMeasured with a load of "
        f"{results['load']:.0f} on {results['cores']} cores: take the times as upper bounds."
    )


def federated_sums(results: dict[str, Any]) -> str:
    """A secure sum: what it costs a device and the server, and what is left of it where devices drop out."""
    masks = ", ".join(f"{row['ms']:.2f} ms at {row['width']} bytes a word" for row in results["mask"])
    devices = [
        [
            str(row["group"]),
            str(row["width"]),
            *(f"{row['ms'][kind]:.1f}" for kind in ("shares", "upload", "unmask")),
            f"{row['ms_all']['median']:.0f} ({row['ms_all']['p95']:.0f})",
            f"{row['bytes_up']['upload']:,}",
            f"{sum(row['bytes_up'].values()):,}",
            f"{sum(row['bytes_down'].values()):,}",
        ]
        for row in results["device"]
    ]
    columns = [
        "group",
        "bytes a word",
        "shares",
        "upload",
        "unmask",
        "all (95 %)",
        "bytes of the upload",
        "all up",
        "all down",
    ]
    rounds = results["round"]
    first = rounds[0]
    lost = ", ".join(f"{row['group']} devices, {row['gone']:.0%} gone: {row['chance']:.1g}" for row in results["lost"])
    equal = sum(row["equal"] for row in rounds)
    server = [sum(row["server_seconds"].values()) for row in rounds]
    return (
        f"One mask of 37,060 words takes {masks}, the key agreement with it. One device in a sum of 3,706 items and 8 "
        f"dimensions, median processor ms, on a machine with other work, and bytes by step:\n\n"
        f"{table(columns, devices)}\n\n"
        f"{first['devices']:,} devices, {first['gone']} of which vanish after they have dealt their shares: of "
        f"{len(rounds)} rounds {equal} open to the plain sum of those who stayed, to the bit; lost with their group "
        f"{', '.join(str(row['lost']) for row in rounds)} of them; {median(server):.0f} s of the server's processor. "
        f"The chance that a group has too few left to open: {lost}."
    )


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "history": ("New people, by how much is known of them", by_history),
    "friends": ("What friends' choices add for new people", friends),
    "repeat_purchase": ("What people buy again", repeat_purchase),
    "ranking": ("Lists for people who are known", ranking),
    "implicit_belief": ("The belief about events alone, beside iALS", implicit_belief),
    "rivals": ("Our rivals beside those of kept libraries", rivals),
    "toolkit_metrics": ("Our metrics beside those of LensKit and RecBole", toolkit_metrics),
    "cold_items": ("Items nobody has acted on, beside TF-IDF", cold_items),
    "never_rated": ("Items nobody has rated", never_rated),
    "adaptation": ("A text encoder adapted to the answers, items nobody has rated", adaptation),
    "history_encoders": ("Encoders of histories: new people with three events", history),
    "next_item": ("The next item of people known", sequences),
    "text_encoding": ("How fast texts are encoded", text_encoding),
    "media_encoding": ("How fast images and sounds are encoded", media_encoding),
    "encoding_scale": ("A large catalogue encoded and fitted", encoding_scale),
    "reasons": ("Reasons of a list", reasons),
    "list_questions": ("What a question is worth for the list", list_questions),
    "strategies": ("Which strategy: new people, sixteen sets", strategies),
    "learning_items": ("Items that learn between fits", learning_items),
    "new_items": ("Whom to ask about a new item", new_items),
    "drift": ("Tastes that turn, and answers that fade", drift),
    "off_policy": ("What another policy would have earned", off_policy),
    "annotators": ("Many annotators at once", annotators),
    "label_quality": ("Annotators who go bad", label_quality),
    "honest_labels": ("Labels with a promise", honest_labels),
    "learnt_reliability": ("Reliability that is learnt", learnt_reliability),
    "crowd": ("Crowds", crowds),
    "cold_system": ("A whole system from nothing", cold_system),
    "attributes": ("Who a new person is: age, gender, occupation", attributes),
    "item_attributes": ("What labels of items are worth", item_attributes),
    "question_kinds": ("Kinds of question at equal seconds, MovieLens-100K", question_kinds),
    "choices": ("Namings, picks, clicks and taps", choices),
    "events": ("Events, for and against", signs),
    "stopping": ("When to stop", stopping),
    "text_classification": ("Labels for a text classifier", text_classification),
    "textbook": ("The textbook's loop", textbook),
    "semi_supervised": ("Pseudo-labels", semi_supervised),
    "agreement": ("Values that others define too", agreement),
    "catalogue_scale": ("Catalogue scale", catalogue_scale),
    "ratings": ("Ratings held out, beside a Gibbs sampler", ratings),
    "likes": ("Likes: a planted world, held out, new people", likes),
    "calibration": ("How honest the intervals are", calibration),
    "covariance_forms": ("What keeping less of the covariances loses", covariance_forms),
    "question_privacy": ("What a log of questions says of the answers", question_privacy),
    "service_load": ("What the service carries", service_load),
    "service_restart": ("A service that starts again", service_restart),
    "pages": ("What a person waits for on the page", pages),
    "speed": ("Seconds and memory", speed),
    "scale": ("Fits on shards", scale),
    "federated": ("A fit whose answers stay on devices", federated),
    "federated_audit": ("A model line audited with a canary", federated_audit),
    "federated_attack": ("Who took part in a model line, attacked", federated_attack),
    "list_membership": ("Who was in a fit, attacked from lists", list_membership),
    "federated_rounds": ("A round over HTTP with drop-outs", federated_rounds),
    "federated_sums": ("A secure sum", federated_sums),
    "fit_cost": ("A fit of ten million ratings, and the belief of one user", fit_cost),
    "memory_growth": ("An answer told, as the log grows", memory_growth),
    "log_speed": ("Labels kept on the disk", log_speed),
    "choice_scale": ("Naming one out of a large catalogue", choice_scale),
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
    figure.savefig(path, dpi=120)


def draw_friends(results: dict[str, Any], path: Path) -> None:
    """Lists of the first seed by known events: without friends, friends alone, and both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    row = results["rows"][0]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    looks = (("without", "#999999", "without friends"), ("friends alone", "#e69f00", "by friends alone"),
             ("with", "#0072b2", "with friends"))  # fmt: skip
    for place, (name, colour, label) in enumerate(looks):
        found = [stage[name] for stage in row["stages"].values()]
        at = [n + 0.26 * (place - 1) for n in range(len(found))]
        reach = [[one["mean"] - one["low"] for one in found], [one["high"] - one["mean"] for one in found]]
        axes.bar(at, [one["mean"] for one in found], 0.24, yerr=reach, color=colour, label=label, ecolor="#444444")
    axes.set_xticks(range(len(row["stages"])), list(row["stages"]))
    axes.set_xlabel("events known of somebody new")
    axes.set_ylabel("NDCG@10")
    axes.set_ylim(0.0, 0.62)
    axes.set_title("Last.fm: lists with and without friends' choices", loc="left")
    axes.legend(frameon=False, ncols=3, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def draw_shards(results: dict[str, Any], path: Path) -> None:
    """Seconds of a sweep of processor against events, with a line of slope one to compare."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = results["rows"]["large"]["rows"]
    events = [row["events"] for row in rows]
    if len(rows) < 2:
        return path.unlink(missing_ok=True)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    seconds = [median(row["sweep_cpu_seconds"]) for row in rows]
    axes.loglog(events, seconds, marker="o", color="#0072b2")
    linear = [seconds[-1] * count / events[-1] for count in events]
    axes.loglog(events, linear, linestyle="--", color="grey", linewidth=0.8)
    axes.set_xlabel("events (50,000 items)")
    axes.set_ylabel("seconds of processor")
    axes.set_title("A sweep of a fit on shards; dashed: linear in the events", loc="left")
    axes.grid(visible=True, which="major", alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_pools(results: dict[str, Any], path: Path) -> None:
    """Seconds of choosing ten against the size of the pool, a panel a job, ours and the peers'."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    jobs = list(dict.fromkeys(row["job"] for row in results["pools"]))
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    panels = FigureCanvasAgg(figure).figure.subplots(1, len(jobs), sharey=True)
    for axes, job in zip(panels, jobs, strict=True):
        rows = [row for row in results["pools"] if row["job"] == job]
        for who in dict.fromkeys(row["who"] for row in rows):
            sizes, seconds = zip(*[(row["items"], row["seconds"]) for row in rows if row["who"] == who], strict=True)
            axes.loglog(sizes, seconds, marker="o", color="#0072b2" if who == "palate" else "#d55e00", label=who)
        axes.set_title(job, loc="left")
        axes.set_xlabel("items in the pool")
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(frameon=False)
    panels[0].set_ylabel("seconds")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Rewrite the page and the pictures."""
    PAGE.write_text(page(), encoding="utf-8")
    GROWTH.parent.mkdir(exist_ok=True)
    for name, draw, path in (
        ("speed", draw_growth, GROWTH),
        ("catalogue_scale", draw_pools, POOLS),
        ("scale", draw_shards, SHARDS),
        ("friends", draw_friends, FRIENDS),
    ):
        measured = RESULTS / f"{name}.json"
        if measured.exists():
            draw(json.loads(measured.read_text(encoding="utf-8")), path)


if __name__ == "__main__":
    main()
