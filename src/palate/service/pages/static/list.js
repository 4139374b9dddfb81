// The list beside the questions: what moved, and why each is in it.

import { by, el, facts, say, words } from "./dom.js";
import { call, details } from "./http.js";
import { picture, titleOf } from "./titles.js";

let before = null; // places by id, in the list before
let steps = []; // of each place, how many it has moved up; null if it is new

/** Show the list as it is now; says how many are new. */
export async function showList() {
  const language = document.documentElement.lang.slice(0, 2);
  const path = `/v1/users/${encodeURIComponent(facts.user)}/recommendations?k=${facts.items}&language=${language}`;
  const { items } = await call("GET", path);
  const shown = await details(items.map((item) => item.item_id));
  const places = new Map(items.map((item, place) => [item.item_id, place]));
  const isSame = before?.size === places.size && items.every((item, place) => before.get(item.item_id) === place);
  if (!isSame) steps = items.map((item, place) => (!before ? 0 : before.has(item.item_id) ? before.get(item.item_id) - place : null));
  const rows = items.map((item, place) => row(shown[place], item.reason, moved(steps[place])));
  by("list").replaceChildren(...rows);
  if (!rows.length) by("list-hint").textContent = words.list_empty;
  const fresh = before ? items.filter((item) => !before.has(item.item_id)).length : 0;
  before = places;
  return fresh;
}

function moved(step) {
  if (step === null) return el("span", { class: "move new" }, words.list_new);
  if (!step) return null;
  const [sign, name] = step > 0 ? ["▲", "list_up"] : ["▼", "list_down"];
  const size = Math.abs(step);
  return el("span", { class: step > 0 ? "move up" : "move down" },
    el("span", { "aria-hidden": "true" }, `${sign}${size}`), el("span", { class: "unseen" }, say(name, { n: size })));
}

function row(item, reason, move) {
  return el("li", {}, picture(item, "small"),
    el("div", {}, el("p", { class: "title" }, titleOf(item), " ", move), el("p", { class: "reason" }, reason)));
}
