// "Name something you like": titles completed as they are typed, misspelt too; or in one's own words.

import { el, say, words } from "./dom.js";
import { call, details } from "./http.js";
import { titleOf } from "./titles.js";

const SHOWN = 6; // titles
const PATIENCE = 90; // milliseconds without a key before it is looked up

/** The shape of the card: see cards.js. `question.more` says that one was named before, `question.unasked` that nobody asked. */
export function namingCard(question, answer) {
  const box = searchBox((item) => answer({ form: "recall", item_id: item.item_id, title: item.title }));
  const enough = question.unasked
    ? el("button", { type: "button", class: "quiet", onclick: question.close }, words.recall_close)
    : el("button", { type: "button", class: "quiet", "aria-keyshortcuts": "s", onclick: () => answer({ kind: "skipped" }) },
        question.more ? words.recall_enough : words.skip, " ", el("kbd", {}, "s"));
  return {
    title: question.more ? words.ask_recall_more : words.ask_recall,
    content: [box.element, ownWords(answer), el("div", { class: "rest" }, enough)],
    keys: question.unasked ? [["Escape", question.close], ["s", question.close]] : [["s", () => answer({ kind: "skipped" })]],
    focus: matchMedia("(hover: hover)").matches ? box.input : undefined, // on a phone the keyboard would cover the page
  };
}

function ownWords(answer) {
  const area = el("textarea", { id: "own-words", rows: 3, maxLength: 2000, "aria-describedby": "own-words-hint" });
  const send = () => area.value.trim() && answer({ form: "words", text: area.value.trim() });
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  };
  area.addEventListener("keydown", keys);
  return el("details", { class: "own-words" },
    el("summary", {}, words.words_open),
    el("label", { htmlFor: "own-words" }, words.words_label),
    area,
    el("p", { class: "hint", id: "own-words-hint" }, words.words_hint),
    el("button", { type: "button", onclick: send }, words.words_send));
}

/** An input whose titles are completed: the pattern "editable combobox with a list" of the ARIA practices. */
function searchBox(choose) {
  const list = el("ul", { id: "titles", role: "listbox", "aria-label": words.recall_label, hidden: true });
  const said = el("p", { class: "hint", role: "status", "aria-live": "polite" }, words.recall_hint);
  const input = el("input", {
    id: "name", type: "text", autocomplete: "off", spellcheck: false, maxLength: 200, role: "combobox", enterKeyHint: "done",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "titles", "aria-label": words.recall_label,
  });
  let found = [], at = -1, timer = 0, asked = null;

  function point(place) {
    at = place;
    [...list.children].forEach((option, n) => option.setAttribute("aria-selected", String(n === at)));
    input.setAttribute("aria-activedescendant", at < 0 ? "" : `title-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function show(items) {
    found = items;
    list.replaceChildren(...items.map((item, n) =>
      el("li", { id: `title-${n}`, role: "option", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => choose(item) }, titleOf(item))));
    list.hidden = !items.length;
    input.setAttribute("aria-expanded", String(items.length > 0));
    point(items.length ? 0 : -1);
  }

  async function look() {
    const typed = input.value.trim();
    asked?.abort();
    if (!typed) {
      said.textContent = words.recall_hint;
      return show([]);
    }
    const mine = (asked = new AbortController());
    try {
      const query = `q=${encodeURIComponent(typed.slice(0, 200))}&k=${SHOWN}`;
      const answer = await call("GET", `/v1/items/search?${query}`, undefined, { signal: mine.signal });
      if (asked !== mine) return; // more was typed since
      const items = await details(answer.items.map((item) => item.item_id));
      if (asked !== mine) return;
      show(items);
      said.textContent = answer.items.length ? say("recall_found", { n: answer.items.length }) : words.recall_none;
    } catch (error) {
      if (error.code !== "aborted") said.textContent = words.offline;
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PATIENCE);
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing) return; // a Chinese word that is not finished
    if (step && found.length) point((at + step + found.length) % found.length);
    else if (event.key === "Enter" && at >= 0) choose(found[at]);
    else if (event.key === "Escape" && found.length) show([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { input, element: el("div", { class: "search" }, input, list, said) };
}
