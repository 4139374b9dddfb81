// The device: it loads what is public, keeps the answers, and works out here what to ask and what to show.

import { aOptimal, expected, observe, start, targetMoment } from "./belief.js";
import { button, by, el, notice, say, words } from "./dom.js";
import { store, stored } from "./kept.js";
import { loadModel } from "./model.js";
import { watchPresses } from "./press.js";

const FOLDER = new URL(".", location.href).pathname; // another folder of this host is another device
const LOG = `palate.device.${FOLDER}`;
const LANGUAGE = "palate.device.language";
const SHOWN = 10; // items of the list

const now = () => Date.now() / 1000;

let model, moment, belief;
let log = []; // what was asked and said, oldest first
let current, shownAt = -Infinity, askedAt = 0, answers = new Map();
let before = null; // places of the list that is shown, by item

// ---- what is kept ----

function readLog() {
  try {
    const found = JSON.parse(stored(LOG) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one?.item_id === "string") : [];
  } catch {
    return [];
  }
}

function keep() {
  const text = JSON.stringify(log);
  store(LOG, text);
  notice(stored(LOG) === text ? "" : words.device_not_kept);
}

const isRating = (one) => one.kind === "rating" && Number.isFinite(one.value) && model.places.has(one.item_id);

/** Ratings by item; the last one counts, where two windows asked the same. */
const rated = () => new Map(log.filter(isRating).map((one) => [model.places.get(one.item_id), one.value]));

/** From all answers anew: what was taken back has left nothing behind. */
function believe() {
  const add = (found, [item, value]) => observe(found, model, item, (value - model.centre) / model.unit);
  belief = [...rated()].reduce(add, start(model.dim));
}

// ---- questions ----

/** The item whose answer tells most, weighed by how likely it is known; undefined when all were asked. */
function chosen() {
  const asked = new Set(log.map((one) => model.places.get(one.item_id)));
  const worth = aOptimal(belief, model, moment).map((one, item) => one * model.rate[item]);
  const open = model.items.map((_, item) => item).filter((item) => !asked.has(item));
  return open.sort((one, other) => worth[other] - worth[one] || model.rate[other] - model.rate[one])[0];
}

function ask(item) {
  const isFirst = current === undefined;
  [current, shownAt, askedAt] = [item, performance.now(), now()];
  const card = by("card");
  card.setAttribute("aria-busy", "false");
  answers = new Map();
  if (item === undefined) return card.replaceChildren(el("h2", { id: "question", tabIndex: -1 }, words.nothing_left));
  const { title, year, categories } = model.items[item];
  const rate = (value) => () => answer("rating", value);
  const other = (kind) => () => answer(kind);
  const levels = model.levels.map(({ key, word, value }) => button(word ? words[word] : String(value), key, rate(value), word || "level"));
  answers = new Map([...model.levels.map(({ key, value }) => [key, rate(value)]), ["u", other("unknown")], ["s", other("skipped")]]);
  const named = model.levels.some((level) => level.word);
  card.dataset.item = model.items[item].item_id;
  card.replaceChildren(
    el("h2", { id: "question", tabIndex: -1 }, titleOf(title, year)),
    categories.length ? el("p", { class: "kinds" }, categories.join(" · ")) : "",
    el("p", { class: "asked", id: "asked" }, named ? words.ask_like : words.ask_rate),
    el("div", { class: named ? "answers named" : "answers levels", role: "group", "aria-labelledby": "asked" }, levels),
    named ? "" : el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, words.rate_low), el("span", {}, words.rate_high)),
    el("div", { class: "rest" }, button(words.unknown, "u", other("unknown"), "quiet"), button(words.skip, "s", other("skipped"), "quiet")),
    el("details", { class: "why" }, el("summary", {}, words.why), el("p", {}, words.device_why)),
  );
  if (!isFirst) by("question").focus({ preventScroll: true });
}

/** Do what a key is for; true if it is for anything. */
function press(key) {
  answers.get(key)?.();
  return answers.has(key);
}

function answer(kind, value) {
  const said = { item_id: model.items[current].item_id, kind, asked_at: askedAt, answered_at: now() };
  log.push(value === undefined ? said : { ...said, value });
  keep();
  refresh();
}

function undo() {
  const last = log.pop();
  if (!last) return;
  keep();
  refresh(model.places.get(last.item_id));
  by("status").textContent = words.undone;
}

// ---- the list ----

function titleOf(title, year) {
  return [el("span", { class: "name" }, title), year ? el("span", { class: "year" }, ` ${year}`) : null];
}

/** Show what is best of what is not rated yet; how many of it are new. */
function showList() {
  const known = rated();
  const means = model.items.map((_, item) => expected(belief, model, item).mean);
  const open = [...means.keys()].filter((item) => !known.has(item));
  const best = open.sort((one, other) => means[other] - means[one]).slice(0, SHOWN);
  const places = new Map(best.map((item, place) => [item, place]));
  by("list").replaceChildren(...best.map((item, place) => listed(item, moved(item, place))));
  const fresh = before ? best.filter((item) => !before.has(item)).length : 0;
  before = places;
  return fresh;
}

function moved(item, place) {
  if (!before || before.get(item) === place) return null;
  if (!before.has(item)) return el("span", { class: "move new" }, words.list_new);
  const step = before.get(item) - place;
  const [sign, name, way] = step > 0 ? ["▲", "list_up", "up"] : ["▼", "list_down", "down"];
  const size = Math.abs(step);
  return el("span", { class: `move ${way}` },
    el("span", { "aria-hidden": "true" }, `${sign}${size}`), el("span", { class: "unseen" }, say(name, { n: size })));
}

/** In words: what is expected, and how far off that may be by what is not known of the person and of the item. */
function expectation(item) {
  const { mean, variance } = expected(belief, model, item);
  const values = model.levels.map((level) => level.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const value = Math.min(high, Math.max(low, model.centre + model.unit * mean));
  if (model.kind === "like") return say("device_chance", { value: Math.round(100 * value) });
  const error = model.unit * Math.sqrt(variance + Math.max(model.noise[item] - model.answerNoise, 0));
  return say("device_expected", { value: value.toFixed(1), error: error.toFixed(1) });
}

function listed(item, move) {
  const { title, year } = model.items[item];
  return el("li", {}, el("div", {}, el("p", { class: "title" }, titleOf(title, year), " ", move), el("p", { class: "reason" }, expectation(item))));
}

/** Everything as the answers say; the next question, or the one that is given. */
function refresh(item) {
  believe();
  const fresh = showList();
  ask(item ?? chosen());
  const said = rated().size;
  by("undo").disabled = !log.length;
  by("list-hint").textContent = said ? "" : words.list_first;
  const count = said === 1 ? words.device_kept_one : say("device_kept", { n: said });
  by("status").textContent = log.length ? [count, fresh ? say("list_moved", { n: fresh }) : ""].join(" ") : "";
  by("status").dataset.answers = log.length;
}

// ---- my data ----

function save() {
  const lines = [
    { content: "model", line: model.line, round: model.round, digest: model.digest },
    ...log.map((one) => ({ content: "answer", ...one })),
    { content: "belief", mean: belief.mean, covariance: belief.covariance },
  ];
  const address = URL.createObjectURL(new Blob(lines.map((one) => `${JSON.stringify(one)}\n`), { type: "application/jsonl" }));
  el("a", { href: address, download: "palate-my-data.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function forget() {
  if (by("sure").returnValue !== "yes") return;
  const n = log.length;
  log = [];
  before = null;
  try {
    localStorage.removeItem(LOG);
  } catch {
    // nothing was kept
  }
  refresh();
  notice(say("deleted", { n }));
}

// ---- the page ----

/** In the language that was chosen or, before that, the browser's. */
function inOtherLanguage() {
  const link = by("language");
  link.addEventListener("click", () => store(LANGUAGE, link.hreflang));
  const wanted = stored(LANGUAGE) ?? navigator.language.slice(0, 2);
  if (wanted !== link.hreflang) return false;
  location.replace(link.href);
  return true;
}

/** So that the page opens without a network. */
function keepFiles() {
  const rule = { createScriptURL: (name) => name };
  const policy = window.trustedTypes?.createPolicy("palate-worker", rule) ?? rule;
  navigator.serviceWorker?.register(policy.createScriptURL("worker.js")).catch(() => undefined); // then it opens with one
}

async function begin() {
  try {
    model = await loadModel();
  } catch (error) {
    by("card").replaceChildren(el("h2", { id: "question", tabIndex: -1 }, words.device_unreachable));
    throw error;
  }
  moment = targetMoment(model);
  log = readLog();
  by("model").textContent = say("device_model", { line: model.line, round: model.round, n: model.size.toLocaleString(), digest: model.digest.slice(0, 16) });
  watchPresses(document.querySelector(".asking"), {
    shownAt: () => shownAt,
    press,
    own: { z: undo, "?": () => by("keys").showModal() },
  });
  by("undo").addEventListener("click", undo);
  by("save").addEventListener("click", save);
  by("delete").addEventListener("click", () => {
    by("sure").returnValue = "no"; // also where it is left by Escape, whatever was said before
    by("sure").showModal();
  });
  by("sure").addEventListener("close", forget);
  addEventListener("storage", (event) => {
    if (event.key !== LOG) return; // another window of this page
    log = readLog();
    refresh();
  });
  refresh();
  keepFiles();
}

if (!inOtherLanguage()) begin();
