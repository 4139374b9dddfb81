// The talk: a question, its answer, the next question at once, and the list that moves.

import { by, el, facts, notice, say, words } from "./dom.js";
import { showCard, showText } from "./cards.js";
import { call, details, newKey } from "./http.js";
import { History, store, stored } from "./kept.js";
import { showList } from "./list.js";
import { Outbox } from "./outbox.js";
import { watchPresses } from "./press.js";

const READY = 2; // questions fetched at once: the next is there before the answer
const RESERVE = 20; // items to rate, for when the connection is lost
const RENEW = 8; // answers after which the reserve is fetched anew
const UNDOABLE = 10; // answers that can be taken back

const now = () => Date.now() / 1000;
const path = (rest) => `/v1/users/${encodeURIComponent(facts.user)}/${rest}`;

const done = new Set(); // what was asked, of the answers since the page was opened
let outbox, past, ready = [], reserve = [], current = null, shown = null;
let askedAt = 0, shownAt = -Infinity, sinceReserve = Infinity, kept = 0, given = 0, refreshing = null, refreshAgain = false, again = 0, awaited = false;

export function begin({ onEnd = signInAgain } = {}) {
  kept = facts.told ?? 0;
  past = new History(`palate.history.${facts.user}`, UNDOABLE);
  outbox = new Outbox(facts.user, { delivered, refused, state: (name) => showState(name, onEnd) });
  by("undo").addEventListener("click", undo);
  by("name-one").addEventListener("click", nameOne);
  watchPresses(document.querySelector(".asking"), {
    shownAt: () => shownAt,
    press: (key) => shown?.press(key),
    own: { z: undo, n: nameOne, "?": () => by("keys").showModal() },
  });
  addEventListener("storage", onOtherWindow);
  by("form").value = [...by("form").options].some((one) => one.value === stored("palate.form")) ? stored("palate.form") : "best";
  by("form").addEventListener("change", otherForm);
  by("undo").disabled = !past.all().length;
  by("list-hint").textContent = kept ? "" : words.list_first;
  outbox.flush();
  refresh();
}

/** Go on after a session has ended, with a new one of the same person. */
export function resume() {
  outbox.ended = false;
  notice("");
  outbox.flush();
  refresh();
}

// ---- questions ----

/** The list and the next questions as they are now; once at a time, and again if something came meanwhile. */
function refresh() {
  if (refreshing) {
    refreshAgain = true;
    return refreshing;
  }
  refreshing = fetchAll().finally(() => {
    refreshing = null;
    if (refreshAgain) {
      refreshAgain = false;
      refresh();
    }
  });
  return refreshing;
}

async function fetchAll() {
  clearTimeout(again);
  try {
    const fresh = await showList();
    const wanted = by("form").value, said = given;
    const forms = (wanted === "best" ? facts.forms : [wanted]).map((form) => `&forms=${form}`).join("");
    const { questions } = await call("GET", path(`questions?k=${READY}${forms}`));
    const found = await withItems(questions);
    if (wanted !== by("form").value || said !== given) return; // out of date: the refresh of what came since is next
    ready = found;
    awaited = false;
    if (!current) next();
    if (fresh && kept) by("status").textContent = `${savedText()} ${say("list_moved", { n: fresh })}`;
    if (sinceReserve >= RENEW) {
      sinceReserve = 0;
      reserve = (await withItems((await call("GET", path(`questions?k=${RESERVE}`))).questions)).map((one) => ({ ...one, reserve: true }));
    }
    if (!current && !ready.length) showText(words.nothing_left);
  } catch (error) {
    if (error.status === 401) outbox.end("ended");
    else if (error.code === "no_consent") showText(words.no_consent);
    else if (error.status === undefined) throw error;
    else {
      if (error.status === 0) showState("offline");
      again = setTimeout(refresh, 1000 * Math.max(error.retrySeconds, error.status === 0 ? 3 : 1)); // or the server is busy
    }
  }
}

async function withItems(questions) {
  const isItem = (question) => question.form !== "concept" && question.form !== "recall";
  const ids = questions.filter(isItem).flatMap((question) => [question.item_id, ...question.others]);
  const found = new Map((await details([...new Set(ids)])).map((item) => [item.item_id, item]));
  return questions.map((question) => ({
    ...question,
    items: isItem(question) ? [question.item_id, ...question.others].map((id) => found.get(id)) : [],
  }));
}

const subject = (of) => `${of.form === "words" ? "recall" : of.form} ${[of.item_id, ...(of.others ?? [])].sort().join("\n")}`;

/** Whether it was answered here and the server may not have known of it when it asked. */
function isAnswered(question) {
  if (question.form !== "recall" && done.has(subject(question))) return true;
  const waiting = outbox.entries().filter((entry) => entry.op === "label").map((entry) => entry.label);
  const items = new Set(waiting.filter((label) => label.form !== "concept").flatMap((label) => [label.item_id, ...(label.others ?? [])]));
  if (question.form === "recall") return waiting.some((label) => label.form === "recall");
  if (question.form === "concept") return waiting.some((label) => subject(label) === subject(question));
  return question.items.some((item) => items.has(item.item_id));
}

const isCutOff = () => !navigator.onLine || Boolean(outbox.ended) || by("status").dataset.state === "offline";

function next() {
  const fits = (question) => subject(question) !== (current && subject(current)) && !isAnswered(question);
  const isEnough = !awaited && ["best", "rate"].includes(by("form").value); // rather one a little old than a wait
  const from = [ready, isEnough || isCutOff() ? reserve : []].find((queue) => queue.some(fits));
  if (!from) {
    current = null;
    shown = null;
    return showText(isCutOff() ? words.waiting : words.loading);
  }
  show(from.splice(from.findIndex(fits), 1)[0]);
}

function show(question) {
  const isFirst = shown === null && kept === 0;
  const named = past.all().some((one) => one.question.form === "recall");
  current = question;
  askedAt = now();
  shownAt = performance.now();
  shown = showCard({ ...question, more: named, close: next, cutOff: isCutOff() }, (said) => answered(question, said));
  if (!isFirst || question.form === "recall") shown.focus();
}

/** The user would rather be asked in another way; what is open goes. */
function otherForm() {
  store("palate.form", by("form").value);
  [ready, current, shown, awaited] = [[], null, null, true];
  showText(words.loading);
  refresh();
}

/** To name one, unasked; the question that is open comes again. */
function nameOne() {
  if (current?.form === "recall") return shown.focus();
  if (current) ready.unshift(current);
  current = null;
  show({ form: "recall", item_id: "", others: [], items: [], unasked: true });
}

// ---- answers ----

function answered(question, said) {
  if (question !== current) return; // answered already
  const { title: _title, ...content } = said;
  const label = { key: newKey(), user_id: facts.user, form: question.form, item_id: question.item_id, asked_at: askedAt, answered_at: now(), ...content };
  if (label.form === "words") delete label.item_id;
  else if (question.question_id) label.question_id = question.question_id;
  if (question.others.length) label.others = question.others;
  past.push({ keys: [label.key], question: { ...question, reserve: false } });
  by("undo").disabled = false;
  notice("");
  sinceReserve += 1;
  done.add(subject(question));
  given += 1;
  outbox.put(label);
  if (label.item_id && label.form === "recall" && !question.unasked && !isCutOff()) {
    [ready, awaited] = [[], true]; // another may be asked for
  }
  next();
}

function delivered(entry, rows) {
  if (entry.op === "label") {
    kept += rows.some((row) => !row.repeated) ? 1 : 0;
    const all = past.all();
    const one = all.find((each) => each.keys[0] === entry.label.key);
    if (one && rows.length > 1) {
      one.keys = rows.map((row) => row.key); // words may name several
      past.keep(all);
    }
  }
  if (entry.op === "undo") kept = Math.max(0, kept - 1);
  by("list-hint").textContent = "";
  refresh();
}

function refused(entry, error) {
  if (entry.op !== "label") return;
  past.drop(entry.label.key);
  by("undo").disabled = !past.all().length;
  notice(entry.label.form === "words" ? words.words_none : say("refused", { why: error.message }));
  if (entry.label.form === "words") {
    nameOne();
    by("card").querySelector("details.own-words").open = true;
    by("own-words").value = entry.label.text;
  }
  refresh();
}

function undo() {
  const last = past.pop();
  if (!last) return;
  by("undo").disabled = !past.all().length;
  given += 1;
  done.delete(subject(last.question));
  for (const key of last.keys) outbox.undo(key);
  if (current && !current.unasked) ready.unshift(current);
  current = null;
  show(last.question.unasked ? { ...last.question, close: next } : last.question);
  by("status").textContent = words.undone;
}

// ---- other windows ----

function onOtherWindow(event) {
  if (!event.key?.startsWith(outbox.prefix)) return;
  const came = event.newValue && JSON.parse(event.newValue);
  if (came?.op === "label" && current && subject(came.label) === subject(current) && current.form !== "recall") {
    notice(words.other_tab);
    next();
  }
  by("undo").disabled = !past.all().length;
  if (!event.newValue) refresh(); // it was sent
  showState(outbox.count ? "sending" : "sent");
}

// ---- what is said ----

const savedText = () => (kept === 1 ? words.saved_one : say("saved", { n: kept }));

function showState(name, onEnd) {
  const n = outbox.count;
  const texts = {
    sent: kept ? savedText() : "",
    sending: n > 1 ? say("unsent", { n }) : words.saving,
    offline: n ? say("unsent_offline", { n }) : words.offline,
  };
  if (name in texts) by("status").textContent = texts[name];
  by("status").dataset.state = name;
  by("status").dataset.unsent = n;
  if (!outbox.isKept) notice(words.not_kept);
  if (!current && isCutOff() && reserve.length) next();
  if (name === "ended" || name === "other") {
    by("status").textContent = "";
    onEnd?.(say(name === "ended" ? "session_ended" : "other_person", { n }));
  }
}

function signInAgain(text) {
  notice(text, " ", el("a", { href: "/" }, words.session_again));
}
