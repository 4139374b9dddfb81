// The annotator's queue: one card at a time, one key an answer, the next card already there.

import { by, el, facts, notice, say, words } from "./dom.js";
import { call, newKey } from "./http.js";
import { History, store, stored } from "./kept.js";
import { drop, leaseCard } from "./lease_card.js";
import { Outbox } from "./outbox.js";
import { watchPresses } from "./press.js";

const READY = 4; // cards that lie here, the one that is shown too
const UNDOABLE = 10; // answers that can be taken back
const AGAIN_SECONDS = 20; // between two looks at the queue while nothing is answered
const HELD_SECONDS = 600; // that a card which is looked at is kept from others

const now = () => Date.now() / 1000;
const done = new Set(); // leases that were answered here
const outbox = new Outbox(`annotator ${facts.source}`, { delivered: refresh, refused, state: showState });
const past = new History(`palate.history.annotator ${facts.source}`, UNDOABLE);
const times = []; // seconds that the last answers took

let campaigns = [], campaign = null, ready = [], current = null, shown = null;
let seenAt = 0, shownAt = -Infinity, refreshing = null, refreshAgain = false, again = 0, begun = false;

// ---- the queue ----

/** The next cards as they are now; once at a time, and again if something came meanwhile. */
function refresh() {
  refreshAgain = Boolean(refreshing);
  refreshing ??= fetchAll().finally(() => {
    refreshing = null;
    if (refreshAgain) refresh();
  });
  return refreshing;
}

async function fetchAll() {
  clearTimeout(again);
  try {
    if (!campaign && !(await choose())) return;
    const wanted = campaign, held = ready.map((lease) => lease.lease_id).join(",");
    const waiting = outbox.entries().filter((entry) => entry.op === "label").map((entry) => entry.label.lease_id); // held, too
    const k = Math.min(20, READY + waiting.length);
    const found = await call("GET", `/v1/next?campaign=${encodeURIComponent(wanted.id)}&k=${k}&held=${held}`);
    if (wanted !== campaign) return void (refreshAgain = true);
    campaign = { ...campaign, ...found.campaign };
    if (campaign.state === "closed") current = null; // no answer to it would be taken
    take(found, new Set(waiting));
    showProgress(found.progress);
    begun = true;
    if (!current) next();
    if (!current && !ready.length) showText(doneText(found.done));
    if (by("status").dataset.state === "offline" && !outbox.count) showState("sent");
  } catch (error) {
    if (error.status === 401) return outbox.end("ended");
    if (error.status === undefined) throw error;
    if (error.status === 0) showState("offline");
    if (error.status === 403 || error.status === 404) campaign = null; // it is no longer for us: choose anew
    again = setTimeout(refresh, 1000 * Math.max(error.retrySeconds, error.status === 0 ? 3 : 1));
  }
}

/** Which campaign: the one of last time where it goes on, or the first. */
async function choose() {
  campaigns = (await call("GET", "/v1/campaigns")).campaigns.filter((one) => one.state === "open");
  campaign = campaigns.find((one) => one.id === stored("palate.campaign")) ?? campaigns[0] ?? null;
  by("campaign").replaceChildren(...campaigns.map((one) => el("option", { value: one.id, selected: one === campaign }, one.name)));
  by("campaign").closest("label").hidden = campaigns.length < 2;
  if (!campaign) showText(words.no_campaign);
  return campaign;
}

/**
 * What is worth asking now. A card that the server does not name is no longer ours, unless it is looked at.
 * @param waiting leases whose labels were not sent when it was asked, here or in another window
 */
function take(found, waiting) {
  for (const lease of found.leases) {
    const isSame = current?.isUndone && lease.user_id === current.user_id && lease.item_id === current.item_id;
    if (isSame) current.lease_id = lease.lease_id; // what was taken back was given again, under another number
  }
  const known = new Map(ready.map((lease) => [lease.lease_id, lease]));
  ready = found.leases
    .filter((lease) => lease.lease_id !== current?.lease_id && !done.has(lease.lease_id) && !waiting.has(lease.lease_id))
    .map((lease) => known.get(lease.lease_id) ?? lease);
  [...known.values()].filter((lease) => !ready.includes(lease)).forEach(drop);
  for (const lease of ready) {
    lease.card ??= leaseCard(lease, (said) => answered(lease, said)); // its picture is fetched now
  }
}

const doneText = (why) => words[`done_${why}`] ?? words.done_asked;
const isCutOff = () => !navigator.onLine || Boolean(outbox.ended) || by("status").dataset.state === "offline";

function next() {
  current = ready.shift() ?? null;
  if (current) return show(current);
  shown = null;
  showText(isCutOff() ? words.waiting : words.loading);
}

function show(lease) {
  const isFirst = !begun;
  current = lease;
  seenAt = now();
  shownAt = performance.now();
  lease.card ??= leaseCard(lease, (said) => answered(lease, said));
  shown = lease.card;
  const card = by("card");
  card.setAttribute("aria-busy", "false");
  card.dataset.lease = lease.lease_id;
  card.replaceChildren(...shown.elements(campaign));
  showNote();
  if (!isFirst) by("question").focus({ preventScroll: true });
}

function showText(text) {
  const card = by("card");
  card.setAttribute("aria-busy", "false");
  delete card.dataset.lease;
  card.replaceChildren(el("h2", { id: "question", tabIndex: -1 }, text));
}

/** Another campaign was chosen: what was not answered goes back first. */
async function otherCampaign() {
  store("palate.campaign", by("campaign").value);
  campaign = campaigns.find((one) => one.id === by("campaign").value);
  const mine = unanswered();
  [ready, current, shown] = [[], null, null];
  showText(words.loading);
  await release(mine);
  refresh();
}

const unanswered = () => [...(current ? [current] : []), ...ready];

/** Cards that are not answered may be given to others. */
function release(mine) {
  return Promise.allSettled(mine.map((lease) => call("POST", `/v1/leases/${encodeURIComponent(lease.lease_id)}/release`, {})));
}

// ---- answers ----

function answered(lease, said) {
  if (lease !== current) return; // answered already
  const label = { key: newKey(), lease_id: lease.lease_id, shown_at: seenAt, answered_at: now(), ...said };
  times.push(label.answered_at - seenAt);
  done.add(lease.lease_id);
  drop(lease);
  past.push({ keys: [label.key], lease });
  by("undo").disabled = false;
  notice("");
  outbox.put(label);
  next();
}

function refused(entry, error) {
  notice(say("not_taken", { why: error.message }));
  if (entry.op === "label") past.drop(entry.label.key);
  by("undo").disabled = !past.all().length;
  refresh();
}

function undo() {
  const last = past.pop();
  if (!last) return;
  by("undo").disabled = !past.all().length;
  const { lease } = last;
  times.pop();
  done.delete(lease.lease_id);
  for (const key of last.keys) outbox.undo(key);
  if (current) ready.unshift(current);
  ready = ready.filter((one) => one.lease_id !== lease.lease_id);
  lease.isUndone = true;
  show(lease);
  by("status").textContent = words.undone;
}

function skip() {
  if (!current) return;
  const lease = current;
  ask("skip", (reason) => answered(lease, reason ? { kind: "skipped", reason } : { kind: "skipped" }));
}

// ---- flags and comments ----

function note(change) {
  if (!current) return;
  Object.assign(current, change);
  const said = { key: newKey(), flag: Boolean(current.flag), comment: current.comment ?? "" };
  outbox.keep({ op: "call", key: said.key, method: "POST", path: `/v1/leases/${encodeURIComponent(current.lease_id)}/notes`, body: said });
  showNote();
}

function showNote() {
  by("flag").setAttribute("aria-pressed", String(Boolean(current?.flag)));
  by("comment").setAttribute("aria-pressed", String(Boolean(current?.comment)));
}

function comment() {
  if (!current) return;
  const lease = current;
  by("comment-text").value = lease.comment ?? "";
  ask("comment-box", (kept) => kept === "keep" && lease === current && note({ comment: by("comment-text").value.trim() }));
}

/** A dialog; what is called gets the value of the button that was pressed, unless that one leaves it as it was. */
function ask(id, work) {
  const dialog = by(id), form = dialog.querySelector("form");
  let chosen = "leave";
  const choose = (event) => (chosen = event.submitter?.value ?? "leave");
  form.addEventListener("submit", choose);
  dialog.addEventListener("close", () => {
    form.removeEventListener("submit", choose);
    if (chosen !== "leave") work(chosen);
  }, { once: true });
  dialog.showModal();
}

by("skip").addEventListener("keydown", (event) => {
  const button = [...by("skip").querySelectorAll("button")].find((one) => one.getAttribute("aria-keyshortcuts") === event.key);
  if (button && !event.repeat) button.click();
});
by("comment-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) by("comment-box").querySelector("button").click();
});

// ---- what is said ----

function showProgress({ mine, team, budget_left: left, expected_gain_left: gain }) {
  const median = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
  const told = [
    [words.mine, String(mine)], [words.team, String(team)],
    left === null ? null : [words.left, String(left)],
    gain === null || gain === undefined ? null : [words.gain_left, gain.toPrecision(2)],
    median === undefined ? null : [words.seconds_each, median.toFixed(1)],
  ].filter(Boolean);
  by("progress").replaceChildren(...told.flatMap(([name, value]) => [el("div", {}, el("dt", {}, name), el("dd", {}, value))]));
  by("bar").hidden = left === null;
  if (left !== null) [by("bar").max, by("bar").value] = [Math.max(1, team + left), team];
}

function showState(name) {
  const n = outbox.count;
  const texts = {
    sent: times.length ? words.all_saved : "",
    sending: n > 1 ? say("unsent", { n }) : words.saving,
    offline: n ? say("unsent_offline", { n }) : words.offline,
  };
  if (name in texts) by("status").textContent = texts[name];
  by("status").dataset.state = name;
  by("status").dataset.unsent = n;
  if (!outbox.isKept) notice(words.not_kept);
  if (name === "ended" || name === "other") {
    by("status").textContent = "";
    notice(say(name === "ended" ? "session_ended" : "other_person", { n }), " ", el("a", { href: "/annotate" }, words.sign_in_again));
  }
}

function onOtherWindow(event) {
  if (!event.key?.startsWith(outbox.prefix)) return;
  const came = event.newValue && JSON.parse(event.newValue);
  const lease = came?.op === "label" ? came.label.lease_id : "";
  if (lease) {
    done.add(lease);
    ready = ready.filter((one) => one.lease_id !== lease);
  }
  if (lease && lease === current?.lease_id) {
    notice(words.other_tab);
    next();
  }
  by("undo").disabled = !past.all().length;
  if (!event.newValue) refresh(); // it was sent
  showState(outbox.count ? "sending" : "sent");
}

async function signOut() {
  await outbox.flush();
  if (outbox.count && !outbox.ended) return notice(say("sign_out_unsent", { n: outbox.count }));
  try {
    await release(unanswered());
    await call("DELETE", "/session");
    location.reload();
  } catch {
    notice(words.unreachable);
  }
}

/** While a card is looked at it is kept from others, for a while; what is worth asking may have changed meanwhile. */
function lookAgain() {
  if (document.hidden || outbox.ended) return;
  if (current && performance.now() - shownAt < 1000 * HELD_SECONDS) {
    call("POST", `/v1/leases/${encodeURIComponent(current.lease_id)}/extend`, {}).catch(() => undefined); // it may be gone: an answer is kept all the same
  }
  if (!current) campaign = null; // there may be another one by now
  refresh();
}

by("undo").addEventListener("click", undo);
by("flag").addEventListener("click", () => note({ flag: !current?.flag }));
by("comment").addEventListener("click", comment);
by("sign-out").addEventListener("click", signOut);
by("campaign").addEventListener("change", otherCampaign);
by("undo").disabled = !past.all().length;
watchPresses(by("asking"), {
  shownAt: () => shownAt,
  press: (key) => (key === "s" ? (skip(), true) : shown?.press(key)),
  own: { z: undo, f: () => note({ flag: !current?.flag }), c: comment, "?": () => by("keys").showModal() },
});
by("card").addEventListener("skip", skip);
addEventListener("storage", onOtherWindow);
setInterval(lookAgain, 1000 * AGAIN_SECONDS);
outbox.flush();
refresh();
