// One question as a card: what it asks, a button for each answer with its key on it, and what the answer says.

import { button, by, el, facts, say, words } from "./dom.js";
import { namingCard } from "./naming.js";
import { picture, titleOf } from "./titles.js";

const LONG_TEXT = 280; // characters that are shown without being asked for

/**
 * Show a question.
 * @param question as the service asks it, with `items`, their details
 * @param answer   called with what the label says beside key and user
 * @returns {press(key)} what a key does: true if it did something
 */
export function showCard(question, answer) {
  const make = question.form === "recall" ? namingCard : SHAPES[question.form];
  const shape = make(question, answer);
  const other = (kind) => () => answer({ kind });
  const keys = new Map(shape.keys);
  const rest = [];
  if (question.form !== "recall") {
    rest.push(button(unknownWord(question), "u", other("unknown"), "quiet"));
    keys.set("u", other("unknown"));
  }
  if (question.form !== "recall") {
    rest.push(button(words.skip, "s", other("skipped"), "quiet"));
    keys.set("s", other("skipped"));
  }
  const why = el("details", { class: "why" }, el("summary", {}, words.why), el("p", {}, whyOf(question)));
  const card = by("card");
  card.dataset.form = question.form;
  card.setAttribute("aria-busy", "false");
  const heading = el("h2", { id: "question", tabIndex: -1 }, shape.title);
  card.replaceChildren(heading, ...shape.content, rest.length ? el("div", { class: "rest" }, rest) : "", why);
  return {
    press(key) {
      const work = keys.get(key);
      work?.();
      return Boolean(work);
    },
    focus: () => (shape.focus ?? heading).focus({ preventScroll: true }),
  };
}

/** Nothing to answer: why not. */
export function showText(text) {
  const card = by("card");
  card.setAttribute("aria-busy", "false");
  delete card.dataset.form;
  card.replaceChildren(el("h2", { id: "question", tabIndex: -1 }, text));
}

function unknownWord(question) {
  if (question.form === "concept") return words.unknown_concept;
  return question.items.length > 1 ? words.unknown_several : words.unknown;
}

function whyOf(question) {
  if (question.reserve && question.cutOff) return words.why_reserve;
  if (question.form === "recall") return words.why_recall;
  return by("form").value === "best" ? words.why_other : words.why_way;
}

function kinds(item) {
  return item.categories.length ? el("p", { class: "kinds" }, item.categories.join(" · ")) : null;
}

function text(item) {
  if (!item.text || item.text.startsWith(item.title.replace(/…$/, ""))) {
    return item.text.length > item.title.length ? el("p", { class: "text" }, item.text) : null;
  }
  if (item.text.length <= LONG_TEXT) return el("p", { class: "text" }, item.text);
  return el("details", { class: "text" }, el("summary", {}, words.more_text), el("p", {}, item.text));
}

function rate(question, answer) {
  const [item] = question.items;
  const named = facts.levels.some((level) => level.word);
  const give = (level) => () => answer({ value: level.value });
  const buttons = facts.levels.map((level) => {
    const shown = level.word ? words[level.word] : String(level.value);
    return button(shown, level.key, give(level), level.word || "level");
  });
  const ends = el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, words.rate_low), el("span", {}, words.rate_high));
  return {
    title: titleOf(item),
    content: [
      el("p", { class: "asked", id: "asked" }, named ? words.ask_like : words.ask_rate),
      el("div", { class: "item" }, picture(item, "left"), el("div", {}, kinds(item), text(item))),
      el("div", { class: named ? "answers named" : "answers levels", role: "group", "aria-labelledby": "asked" }, buttons),
      named ? "" : ends,
    ],
    keys: facts.levels.map((level) => [level.key, give(level)]),
  };
}

function choices(question, work, pressed) {
  return question.items.map((item, place) => {
    const key = String((place + 1) % 10);
    const inside = [picture(item, "top"), el("span", { class: "what" }, titleOf(item)), el("kbd", {}, key)];
    const properties = { type: "button", class: "choice", "aria-keyshortcuts": key, onclick: () => work(place) };
    if (pressed) properties["aria-pressed"] = "false";
    return el("button", properties, inside);
  });
}

function oneOf(title, say_) {
  return (question, answer) => {
    const work = (place) => answer(say_(question, place));
    return {
      title: words[title],
      content: [el("div", { class: "choices", role: "group", "aria-labelledby": "question" }, choices(question, work))],
      keys: question.items.map((_item, place) => [String((place + 1) % 10), () => work(place)]),
    };
  };
}

function group(question, answer) {
  const tapped = new Set();
  const done = () => answer({ tapped: question.items.filter((_item, place) => tapped.has(place)).map((item) => item.item_id) });
  const shown = el("span", {}, words.group_none);
  const tap = (place) => {
    tapped.has(place) ? tapped.delete(place) : tapped.add(place);
    buttons[place].setAttribute("aria-pressed", String(tapped.has(place)));
    shown.textContent = tapped.size ? words.group_done : words.group_none;
  };
  const buttons = choices(question, tap, true);
  const end = { type: "button", class: "main", "aria-keyshortcuts": "Enter", onclick: done };
  return {
    title: words.ask_group,
    content: [
      el("div", { class: "choices grid", role: "group", "aria-labelledby": "question" }, buttons),
      el("button", end, shown, " ", el("kbd", {}, "Enter")),
    ],
    keys: [...question.items.map((_item, place) => [String((place + 1) % 10), () => tap(place)]), ["Enter", done]],
  };
}

function concept(question, answer) {
  const give = (value) => () => answer({ value });
  return {
    title: say("ask_concept", { name: question.item_id }),
    content: [
      el("p", { class: "asked" }, words.ask_concept_hint),
      el("div", { class: "answers named", role: "group", "aria-labelledby": "question" },
        button(words.yes, "1", give(1), "like"), button(words.no, "0", give(0), "dislike")),
    ],
    keys: [["1", give(1)], ["0", give(0)]],
  };
}

const SHAPES = {
  rate,
  group,
  concept,
  pair: oneOf("ask_pair", (_question, place) => ({ value: place === 0 ? 1 : 0 })),
  pick: oneOf("ask_pick", (question, place) => ({ tapped: [question.items[place].item_id] })),
};
