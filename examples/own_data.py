"""A data folder of your own: two CSV files, read, fitted, kept, and asked about.

Run it with ``python examples/own_data.py``; it works in a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from palate import Dataset, Learner

INTERACTIONS = """\
user_id,item_id,rating,timestamp
ann,sencha,5,2024-05-01T10:00:00Z
ann,espresso,2,2024-05-02T10:00:00Z
ann,matcha,5,2024-05-03T10:00:00Z
bob,espresso,5,2024-05-01T11:00:00Z
bob,lungo,4,2024-05-02T11:00:00Z
bob,sencha,1,2024-05-03T11:00:00Z
cat,matcha,4,2024-05-01T12:00:00Z
cat,lungo,1,2024-05-02T12:00:00Z
cat,sencha,five,2024-05-03T12:00:00Z
dan,lungo,5,2024-05-01T13:00:00Z
dan,matcha,2,2024-05-02T13:00:00Z
"""
ITEMS = """\
item_id,title,text,category
sencha,Sencha,"Green tea, mild and grassy",tea
matcha,Matcha,"Powdered green tea, whisked",tea
espresso,Espresso,"Coffee, short and strong",coffee
lungo,Lungo,"Coffee, long and mild",coffee
cascara,Cascara,"Tea from the fruit of the coffee plant",tea|coffee
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "drinks"
        folder.mkdir()
        (folder / "interactions.csv").write_text(INTERACTIONS, encoding="utf-8")
        (folder / "items.csv").write_text(ITEMS, encoding="utf-8")
        use(folder)


def use(folder: Path) -> None:
    data = Dataset.load(folder)
    print(f"{data.interactions.height} rows read; not read: {data.rejects.rows[0]}")

    learner = Learner.fit(data)
    for item in learner.recommend("ann", k=2):  # cascara has no rating: what is said of it comes from its text
        print(f"for ann: {item.title}, {item.score:.1f} ± {item.std:.1f} ({item.reason})")

    (question,) = learner.ask("eve", rng=np.random.default_rng(0))
    print(f"ask eve about {question.item_id}: {question.why}")
    learner = learner.tell(learner.answer(question, 5))

    model = folder.parent / "model"
    learner.save(model)
    again = Learner.load(model)
    print(f"kept and loaded: {len(again.told['eve'])} answer of eve, the list begins with {top(again, 'eve')}")


def top(learner: Learner, user: str) -> str:
    return learner.recommend(user, k=1)[0].title


if __name__ == "__main__":
    main()
