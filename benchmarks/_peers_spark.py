"""Spark MLlib's ALS at work on two cores of this machine, in an environment of its own that need not hold palate.

    PYTHON benchmarks/_peers_spark.py INPUT.json OUTPUT.npz

INPUT names ``train`` (a Parquet file of user, item, value; the first two count from 0), ``n_users``, ``n_items``,
``rank``, ``implicit``, ``iterations`` and ``settings``: each ``reg``, ``alpha`` (of events), ``centre`` (taken off).
OUTPUT has the factors of users and items of each setting; the last line on standard output is JSON with seconds. Those
of an iteration are of the first setting: of a fit with all iterations less one with two of them, so that reading,
grouping and starting do not count.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

FEW = 2  # iterations of the short fit
CORES = 2


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    spark = _session(given["memory_gb"])
    try:
        found, arrays = _all(spark, given)
    finally:
        spark.stop()
    np.savez(sys.argv[2], **arrays)
    print(json.dumps(found))


def _session(memory_gb: int) -> Any:
    from pyspark.sql import SparkSession

    made = SparkSession.builder.master(f"local[{CORES}]").appName("als")
    for name, value in {
        "spark.driver.memory": f"{memory_gb}g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * CORES),
        "spark.log.level": "ERROR",
    }.items():
        made = made.config(name, value)
    return made.getOrCreate()


def _all(spark: Any, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    blas, arrays, seconds = _blas(spark), {}, []
    rows = spark.read.parquet(given["train"]).repartition(2 * CORES).persist()
    n = rows.count()
    for number, setting in enumerate(given["settings"]):
        taken = rows.selectExpr("user", "item", f"cast(value - {setting['centre']} as float) as value").persist()
        taken.count()
        timed = {}
        if not number:
            _fit(taken, given, setting, FEW)  # the first one also compiles
            timed["short"], _ = _fit(taken, given, setting, FEW)
        timed["fit"], model = _fit(taken, given, setting, given["iterations"])
        if not number:
            timed["iteration"] = (timed["fit"] - timed["short"]) / (given["iterations"] - FEW)
        seconds.append({**setting, **timed})
        for name, table, n_rows in (("users", model.userFactors, "n_users"), ("items", model.itemFactors, "n_items")):
            arrays[f"{name}-{number}"] = _dense(table, given[n_rows], given["rank"])
        taken.unpersist()
    return {"version": spark.version, "rows": n, "blas": blas, "settings": seconds}, arrays


def _fit(rows: Any, given: dict[str, Any], setting: dict[str, float], iterations: int) -> tuple[float, Any]:
    """Seconds until both factors are there, and the model."""
    from pyspark.ml.recommendation import ALS

    als = ALS(
        rank=given["rank"],
        maxIter=iterations,
        regParam=setting["reg"],
        alpha=setting.get("alpha", 1.0),
        implicitPrefs=given["implicit"],
        userCol="user",
        itemCol="item",
        ratingCol="value",
        numUserBlocks=2 * CORES,
        numItemBlocks=2 * CORES,
        checkpointInterval=-1,
        seed=0,
    )
    begun = time.perf_counter()
    model = als.fit(rows)
    model.userFactors.count()
    model.itemFactors.count()
    return time.perf_counter() - begun, model


def _dense(table: Any, n: int, rank: int) -> np.ndarray:
    """Factors by id, (n, rank); zero where there are none."""
    found = np.zeros((n, rank), np.float32)
    rows = table.collect()
    found[[row.id for row in rows]] = [row.features for row in rows]
    return found


def _blas(spark: Any) -> str:
    """The class with which Spark calculates: JNIBLAS calls the system's BLAS, where there is one."""
    from py4j.protocol import Py4JError

    classes = spark._jvm.dev.ludovic.netlib.blas
    try:
        return str(classes.NativeBLAS.getInstance().getClass().getName())
    except Py4JError:
        return str(classes.JavaBLAS.getInstance().getClass().getName())


if __name__ == "__main__":
    main()
