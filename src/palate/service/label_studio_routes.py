"""What Label Studio calls: Palate as its ML backend, and where its webhooks go.

It sends the name and the password of its settings, of which the password is a key of the service; webhooks that
:meth:`palate.oracles.label_studio.LabelStudio.listen` has made send the key itself. With ``/setup`` it sends its user's
access token: no body of that call is read, so the token is neither kept nor logged.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from palate.entities import ITEM, USER
from palate.errors import InputError
from palate.oracles.label_studio.questions import EXTRA
from palate.recommender import Recommender
from palate.service.access import Allow, Caller
from palate.service.faults import HTTPFault
from palate.service.routing import answered, raw_body
from palate.store.model_folder import strict

MOST_TASKS = 1_000  # of a call
NOT_RANKED = 1.0  # the score of what is asked last
HINTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")
router = APIRouter(
    generate_unique_id_function=lambda route: route.name, prefix="/label-studio", include_in_schema=False
)
_Caller = Annotated[Caller, Depends(Allow("service", takes_password=True))]


@router.get("/health")
async def get_health(caller: _Caller) -> Response:
    """Whether it answers."""
    return answered({"status": "UP", "model_class": "Palate"})


@router.post("/setup")
async def post_setup(caller: _Caller) -> Response:
    """The version of the model; what is sent along is not read."""
    return answered({"model_version": await _version(caller)})


@router.post("/predict")
async def post_predict(request: Request, caller: _Caller) -> Response:
    """The score of each task that a desk has put: the smaller, the more its answer would tell now; no guess at it.

    A task about somebody who was asked it already, who is not to be asked, or that is about an attribute, comes last.
    """
    tasks = (await _document(request)).get("tasks")
    if not isinstance(tasks, list) or len(tasks) > MOST_TASKS:
        raise HTTPFault(422, "invalid", f"the tasks are no list of at most {MOST_TASKS:,}.", "tasks")
    asked = [_asked(task) for task in tasks]
    recommender, version = caller.tenant.recommender, await _version(caller)
    scores = await caller.tenant.scores.run(lambda: _scores(recommender, asked))
    rows = [{"result": [], "score": score, "model_version": version} for score in scores]
    return answered({"results": rows})


@router.post("/webhook")
async def post_webhook(request: Request, caller: _Caller) -> Response:
    """Take soon what was annotated, or fit soon; of anything else that it tells nothing follows."""
    action = (await _document(request)).get("action")
    if action == "START_TRAINING":
        caller.tenant.refit_soon()
    elif action in HINTS:
        caller.tenant.desks.hint()
    return answered({"status": "ok"})


async def _version(caller: Caller) -> str:
    tenant = caller.tenant
    return str((await tenant.changes.run(tenant.recommender.versions))[0].id)


async def _document(request: Request) -> dict[str, Any]:
    try:
        found = strict.loads(await raw_body(request))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HTTPFault(422, "invalid", "the body is no JSON object.")
    return found


def _asked(task: object) -> tuple[str, str]:
    """User and item that a task is about; empty where it is none of ours, or about an attribute."""
    data = task.get("data") if isinstance(task, dict) else None
    of = data.get(EXTRA) if isinstance(data, dict) else None
    user, item = (of.get(USER), of.get(ITEM)) if isinstance(of, dict) else (None, None)
    return (user, item) if isinstance(user, str) and isinstance(item, str) else ("", "")


def _scores(recommender: Recommender, asked: list[tuple[str, str]]) -> list[float]:
    """1 / (1 + what an answer is worth) of each, by the strategy that asks."""
    by_user: dict[str, set[str]] = {}
    for user, item in asked:
        if user and item in recommender.fitted.catalogue:
            by_user.setdefault(user, set()).add(item)
    worth: dict[tuple[str, str], float] = {}
    for user, items in by_user.items():
        try:
            found = recommender.ask(user, k=len(items), candidates=sorted(items), random_share=0.0)
        except InputError:  # who does not allow to be asked, or is no user
            continue
        worth |= {(user, question.item_id): question.value for question in found}
    return [1.0 / (1.0 + max(worth[pair], 0.0)) if pair in worth else NOT_RANKED for pair in asked]
