"""Tables beside that of the rows: campaigns, what of them is leased to whom, and notes on it.

They hold what is agreed on between several services on one database, and no answer that the log does not hold. What
takes a label back frees its lease in the same commit; an erasure empties what they say of the user.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]  # a statement, in which {0} stands for each value

# The specification is JSON. "changed" counts what happened in a campaign, so that a reader sees what is new; "given"
# counts what takes away from what may be given, so that a writer sees that another was first; "bought" the labels.
CAMPAIGNS = (
    """CREATE TABLE campaigns (
    id TEXT NOT NULL PRIMARY KEY,
    specification TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'paused', 'closed')),
    changed {whole} NOT NULL,
    given {whole} NOT NULL,
    bought {whole} NOT NULL CHECK (bought >= 0),
    made_at {number} NOT NULL
)""",
    """CREATE TABLE leases (
    id TEXT NOT NULL PRIMARY KEY,
    campaign TEXT NOT NULL,
    changed {whole} NOT NULL,
    source TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('ask', 'gold', 'repeat')),
    state TEXT NOT NULL CHECK (state IN ('leased', 'given-on', 'released', 'answered')),
    leased_at {number} NOT NULL,
    expires_at {number} NOT NULL,
    gain {number} NOT NULL,
    model TEXT NOT NULL,
    label_key TEXT,
    kind TEXT,
    value {number},
    answered_at {number},
    reason TEXT,
    price {number} NOT NULL,
    is_bought {whole} NOT NULL
)""",
    """CREATE TABLE notes (
    key TEXT NOT NULL PRIMARY KEY,
    lease TEXT NOT NULL,
    flag {whole} NOT NULL,
    comment TEXT NOT NULL,
    made_at {number} NOT NULL
)""",
    "CREATE INDEX leases_of_campaign ON leases (campaign, changed)",
    "CREATE INDEX leases_of_pair ON leases (campaign, item_id, user_id)",
    "CREATE INDEX leases_held ON leases (campaign) WHERE state = 'leased'",
    "CREATE INDEX leases_of_user ON leases (user_id)",
    "CREATE INDEX leases_of_label ON leases (label_key) WHERE label_key IS NOT NULL",
    "CREATE INDEX notes_of_lease ON notes (lease)",
    "CREATE INDEX records_of_calibrations ON records (seq) WHERE content = 'calibration'",
)
NAMES = ("campaigns", "leases", "notes")
LEASE = (
    *("id", "campaign", "changed", "source", "user_id", "item_id", "purpose", "state", "leased_at", "expires_at"),
    *("gain", "model", "label_key", "kind", "value", "answered_at", "reason", "price", "is_bought"),
)
COLUMNS = {
    "campaigns": ("id", "specification", "state", "changed", "given", "bought", "made_at"),
    "leases": LEASE,
    "notes": ("key", "lease", "flag", "comment", "made_at"),
}
_FREE = "label_key = NULL, kind = NULL, value = NULL, answered_at = NULL, reason = NULL"


def label_taken_back(execute: Execute, key: str, now: float) -> None:
    """The lease of a label that is taken back: its holder has the pair again, if nobody else was given it."""
    found = execute(
        "SELECT l.id, l.campaign, l.is_bought, c.state, c.specification FROM leases l JOIN campaigns c "
        "ON c.id = l.campaign WHERE l.label_key = {0}",
        (key,),
    )
    for lease, campaign, is_bought, state, specification in found:
        is_again = is_bought and state != "closed"
        ends = now + float(json.loads(specification)["lease_seconds"])
        execute(
            "UPDATE campaigns SET changed = changed + 1, given = given + 1, bought = bought - {0} WHERE id = {0}",
            (is_bought, campaign),
        )
        execute(
            f"UPDATE leases SET {_FREE}, is_bought = 0, price = 0, state = {{0}}, expires_at = {{0}}, "
            "changed = (SELECT changed FROM campaigns WHERE id = {0}) WHERE id = {0}",
            ("leased" if is_again else "released", ends, campaign, lease),
        )


def users_named(execute: Execute) -> set[str]:
    """Everybody of whom the tables say something."""
    found = {user for (user,) in execute("SELECT DISTINCT user_id FROM leases WHERE user_id <> ''", ())}
    found |= {source for (source,) in execute("SELECT DISTINCT source FROM leases", ())}
    for (specification,) in execute("SELECT specification FROM campaigns", ()):
        found |= set(json.loads(specification)["users"])
    return found


def erase_users(execute: Execute, users: Iterable[str]) -> None:
    """Take out what the tables say of these users; that something was asked, and its price, stays."""
    for user in users:
        for (lease,) in execute("SELECT id FROM leases WHERE user_id = {0} OR source = {0}", (user, user)):
            execute("DELETE FROM notes WHERE lease = {0}", (lease,))
            execute(
                "UPDATE campaigns SET changed = changed + 1, given = given + 1 "
                "WHERE id = (SELECT campaign FROM leases WHERE id = {0})",
                (lease,),
            )
            execute(
                f"UPDATE leases SET {_FREE}, item_id = '', user_id = '', state = CASE WHEN state = 'leased' THEN "
                "'released' ELSE state END, source = CASE WHEN source = {0} THEN 'erased' ELSE source END, changed = "
                "(SELECT changed FROM campaigns WHERE campaigns.id = leases.campaign) WHERE id = {0}",
                (user, lease),
            )
    gone = set(users)
    for campaign, specification in execute("SELECT id, specification FROM campaigns", ()):
        said = json.loads(specification)
        if gone.isdisjoint(said["users"]):
            continue
        said["users"] = [user for user in said["users"] if user not in gone]
        execute(
            "UPDATE campaigns SET specification = {0}, changed = changed + 1, given = given + 1 WHERE id = {0}",
            (json.dumps(said), campaign),
        )


def replace_all(execute: Execute, tables: dict[str, list[tuple[Any, ...]]]) -> None:
    """Hold these rows and no others; a lease whose label is not in the log has none."""
    for name in NAMES:
        execute(f"DELETE FROM {name}", ())
        marks = ", ".join(["{0}"] * len(COLUMNS[name]))
        for row in tables[name]:
            execute(f"INSERT INTO {name} ({', '.join(COLUMNS[name])}) VALUES ({marks})", row)
    execute(
        f"UPDATE leases SET {_FREE}, state = 'released' WHERE label_key IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM records WHERE records.key = leases.label_key)",
        (),
    )


def read_all(execute: Execute) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, by table."""
    return {name: execute(f"SELECT {', '.join(COLUMNS[name])} FROM {name} ORDER BY 1", ()) for name in NAMES}


def of_user(execute: Execute, user_id: str) -> list[dict[str, Any]]:
    """What the tables say of a user, for an export: every question about them, and those that they answered."""
    found = execute(
        f"SELECT {', '.join(LEASE)} FROM leases WHERE user_id = {{0}} OR source = {{0}}", (user_id, user_id)
    )
    leases = [dict(zip(LEASE, row, strict=True)) for row in found]
    for lease in leases:
        notes = execute("SELECT flag, comment, made_at FROM notes WHERE lease = {0} ORDER BY made_at", (lease["id"],))
        lease["notes"] = [{"flag": bool(flag), "comment": comment, "made_at": at} for flag, comment, at in notes]
    return leases
