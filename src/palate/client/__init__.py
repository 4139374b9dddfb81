"""A client of the HTTP service, sync and async, that tries again until it knows: the same key makes one row.

    from palate.client import Client

    with Client("http://127.0.0.1:8000", key) as palate:
        for question in palate.questions("ann", k=2):
            palate.tell("ann", question["item_id"], 4, question_id=question["question_id"])
        for item in palate.recommendations("ann"):
            print(item["title"], item["reason"])

Needs httpx, of the extra ``serve``.
"""

from palate.client.calls import ServiceError
from palate.client.clients import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "ServiceError"]
