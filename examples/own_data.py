"""A data folder of your own: two CSV files, read, fitted, kept, and asked about.

Run it with ``python examples/own_data.py``; it takes a few seconds and works in a temporary folder.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from palate import Dataset, Learner

ITEMS = """\
item_id,title,text,category
sencha,Sencha,"Green tea, mild and grassy",tea
matcha,Matcha,"Powdered green tea, whisked",tea
oolong,Oolong,"Half-fermented tea, flowery",tea
assam,Assam,"Black tea, malty",tea
espresso,Espresso,"Coffee, short and strong",coffee
lungo,Lungo,"Coffee, long and mild",coffee
filter,Filter,"Coffee, dripped by hand",coffee
mocha,Mocha,"Coffee with chocolate",coffee
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "drinks"
        write(folder, np.random.default_rng(0))
        use(folder)


def write(folder: Path, rng: np.random.Generator) -> None:
    """A hundred people who drink either tea or coffee and have rated half of the items; one rating is a word."""
    folder.mkdir()
    (folder / "items.csv").write_text(ITEMS, encoding="utf-8")
    items = list(csv.DictReader(ITEMS.splitlines()))
    rows = ["user_id,item_id,rating,timestamp", "p0,oolong,five,2024-05-01T12:00:00Z"]
    for person in range(100):
        drinks = ("tea", "coffee")[person % 2]
        for item in rng.permutation(np.array(items, dtype=object))[:4]:
            rating = int(rng.integers(4, 6) if item["category"] == drinks else rng.integers(1, 4))
            rows.append(f"p{person},{item['item_id']},{rating},2024-05-02T12:00:00Z")
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def use(folder: Path) -> None:
    data = Dataset.load(folder)
    print(f"{data.interactions.height} rows read; not read: {data.rejects.rows[0]}")

    learner = Learner.fit(data)
    (question,) = learner.ask("you", rng=np.random.default_rng(0))
    print(f"ask about {question.item_id}: {question.why}")
    learner = learner.tell(question.answer(5))
    for item in learner.recommend("you", k=3):
        print(f"  {item.title}, {item.score:.1f} ± {item.std:.1f}: {item.reason}")
    for interest in learner.profile("you"):
        print(f"  {interest.category}: {interest.mean:+.1f}, between {interest.low:+.1f} and {interest.high:+.1f}")

    learner.save(folder.parent / "model")
    again = Learner.load(folder.parent / "model")
    print(f"kept and loaded: {len(again.told['you'])} answer")


if __name__ == "__main__":
    main()
