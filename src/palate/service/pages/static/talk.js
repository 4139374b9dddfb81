// The talk: a question, its answer, the next question at once, and the list that moves.

import { by, el, facts, notice, say, words } from "./dom.js";
import { showCard, showText } from "./cards.js";
import { call, details, newKey } from "./http.js";
import { showList } from "./list.js";
import { Outbox } from "./outbox.js";

const READY = 2; // questions fetched at once: the next is there before the answer
const RESERVE = 20; // items to rate, for when the connection is lost
const RENEW = 8; // answers after which the reserve is fetched anew
const AGAIN = 350; // milliseconds in which a second click is the same one
const YOUNG = 250; // milliseconds of a card in which a key was meant for the one before
const UNDOABLE = 10; // answers that can be taken back

const now = () => Date.now() / 1000;
const path = (rest) => `/v1/users/${encodeURIComponent(facts.user)}/${rest}`;
const history = `palate.history.${facts.user}`;

const done = new Set(); // what was asked, of the answers since the page was opened
let outbox, ready = [], reserve = [], current = null, shown = null;
let askedAt = 0, shownAt = -Infinity, lastIgnored = -Infinity, sinceReserve = Infinity, kept = 0, given = 0, refreshing = null, refreshAgain = false, awaited = false;

export function begin({ onEnd = signInAgain } = {}) {
  kept = facts.told ?? 0;
  outbox = new Outbox(facts.user, { delivered, refused, state: (name) => showState(name, onEnd) });
  by("undo").addEventListener("click", undo);
  by("name-one").addEventListener("click", nameOne);
  by("help").addEventListener("click", () => by("keys").showModal());
  document.querySelector(".asking").addEventListener("click", onceOnly, true);
  document.addEventListener("keydown", onKey);
  addEventListener("storage", onOtherWindow);
  by("keys-on").checked = stored("palate.keys") !== "off";
  by("keys-on").addEventListener("change", (event) => store("palate.keys", event.target.checked ? "on" : "off"));
  by("form").value = [...by("form").options].some((one) => one.value === stored("palate.form")) ? stored("palate.form") : "best";
  by("form").addEventListener("change", otherForm);
  by("undo").disabled = !past().length;
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
      setTimeout(refresh, 1000 * Math.max(error.retrySeconds, error.status === 0 ? 3 : 1)); // or the server is busy
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
  const named = past().some((one) => one.question.form === "recall");
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
  remember({ keys: [label.key], question: { ...question, reserve: false } });
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
    const all = past();
    const one = all.find((each) => each.keys[0] === entry.label.key);
    if (one && rows.length > 1) {
      one.keys = rows.map((row) => row.key); // words may name several
      store(history, JSON.stringify(all));
    }
  }
  if (entry.op === "undo") kept = Math.max(0, kept - 1);
  by("list-hint").textContent = "";
  refresh();
}

function refused(entry, error) {
  if (entry.op !== "label") return;
  store(history, JSON.stringify(past().filter((one) => one.keys[0] !== entry.label.key)));
  by("undo").disabled = !past().length;
  notice(entry.label.form === "words" ? words.words_none : say("refused", { why: error.message }));
  if (entry.label.form === "words") {
    nameOne();
    by("card").querySelector("details.own-words").open = true;
    by("own-words").value = entry.label.text;
  }
  refresh();
}

function undo() {
  const all = past();
  const last = all.pop();
  if (!last) return;
  store(history, JSON.stringify(all));
  by("undo").disabled = !all.length;
  given += 1;
  done.delete(subject(last.question));
  for (const key of last.keys) outbox.undo(key);
  if (current && !current.unasked) ready.unshift(current);
  current = null;
  show(last.question.unasked ? { ...last.question, close: next } : last.question);
  by("status").textContent = words.undone;
}

// ---- what is remembered in this browser ----

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // without storage nothing can be taken back after a reload
  }
}

/** Answers that can be taken back, oldest first. */
function past() {
  try {
    return JSON.parse(stored(history) ?? "[]");
  } catch {
    return [];
  }
}

function remember(one) {
  store(history, JSON.stringify([...past(), one].slice(-UNDOABLE)));
  by("undo").disabled = false;
}

function onOtherWindow(event) {
  if (!event.key?.startsWith(outbox.prefix)) return;
  const came = event.newValue && JSON.parse(event.newValue);
  if (came?.op === "label" && current && subject(came.label) === subject(current) && current.form !== "recall") {
    notice(words.other_tab);
    next();
  }
  by("undo").disabled = !past().length;
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

// ---- keys and clicks ----

/** A double click is one answer, also where the next card has its button in the same place. */
function onceOnly(event) {
  if (!event.detail || event.target.closest("summary") || event.timeStamp - Math.max(shownAt, lastIgnored) > AGAIN) return;
  lastIgnored = event.timeStamp;
  event.stopPropagation();
  event.preventDefault();
}

function onKey(event) {
  const isTyping = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || by("keys").open) return;
  if (isTyping) {
    if (event.key === "Escape") by("question").focus();
    return;
  }
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return; // its own key
  if (event.key.length === 1 && !by("keys-on").checked) return;
  const own = { z: undo, n: nameOne, "?": () => by("keys").showModal() }[event.key];
  if (own) own();
  else if (performance.now() - shownAt < YOUNG || !shown?.press(event.key)) return;
  event.preventDefault();
}
