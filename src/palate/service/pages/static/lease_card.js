// One item of the queue as a card: what is asked, the item by its text, image or sound, a button for each answer.

import { button, by, el, facts, notice, say, words } from "./dom.js";
import { bytes, call } from "./http.js";

const PIECE = 1_500; // characters of a text that are shown at first
const MORE = 20_000; // and at each further step
const MOST_BUTTONS = 10; // answers beyond which one types
const FOUND = 30; // of these, that are shown

/**
 * The card of a lease; its picture and its sound are fetched at once.
 * @returns {elements(campaign), press(key), close()}
 */
export function leaseCard(lease, answer) {
  const media = { image: lease.image ? bytes(lease.image) : null, audio: lease.audio ? bytes(lease.audio) : null };
  const choice = lease.values.length > MOST_BUTTONS ? many(lease, answer) : few(lease, answer);
  const keys = new Map([...choice.keys, ["u", () => answer({ kind: "unknown" })]]);
  let sound = null;

  function elements(campaign) {
    const image = media.image && el("img", { alt: "", class: "shown" });
    if (image) media.image.then((address) => (image.src = address), () => image.remove());
    sound = media.audio && el("audio", { controls: true, class: "sound" });
    if (sound) media.audio.then((address) => (sound.src = address), () => sound.remove());
    if (sound) keys.set("p", () => (sound.paused ? sound.play() : sound.pause()));
    const about = lease.user_id ? el("p", { class: "hint" }, say("about_user", { user: lease.user_id })) : null;
    const why = el("details", { class: "why" }, el("summary", {}, words.why), el("p", {}, lease.why));
    return [
      el("h2", { id: "question", tabIndex: -1 }, lease.title || lease.item_id),
      el("p", { class: "asked", id: "asked" }, campaign.question), about, image, sound, text(lease),
      choice.element,
      el("div", { class: "rest" },
        button(words.unknown, "u", keys.get("u"), "quiet"),
        button(words.skip, "s", () => by("card").dispatchEvent(new Event("skip")), "quiet")),
      why,
    ].filter(Boolean);
  }

  return {
    elements,
    press(key) {
      const work = keys.get(key);
      work?.();
      return Boolean(work);
    },
    close: () => Object.values(media).forEach((one) => one?.then((address) => URL.revokeObjectURL(address), () => undefined)),
  };
}

/** A card that is not shown again: what was fetched for it goes. */
export function drop(lease) {
  lease.card?.close();
  delete lease.card;
}

/** The text of an item, long ones piece by piece: a page that holds all of a large one at once would stand still. */
function text(lease) {
  let all = lease.text ?? "", end = PIECE;
  if (!all || all === lease.title) return null;
  const shown = el("p", { class: "text" }, all.slice(0, end));
  if (all.length <= end) return shown;
  const more = el("button", { type: "button", class: "quiet", onclick: grow }, words.show_more);

  async function grow() {
    more.disabled = true;
    try {
      if (end === PIECE && all.length >= facts.cut) all = (await call("GET", `/v1/items/${encodeURIComponent(lease.item_id)}/text`)).text;
      shown.append(all.slice(end, end + MORE));
      end += MORE;
    } catch (error) {
      if (error.status === undefined) throw error;
      notice(words.unreachable);
    } finally {
      more.disabled = false;
    }
    if (end >= all.length) more.remove();
  }

  return el("div", { class: "long", tabIndex: 0 }, shown, more);
}

/** What an answer is called: a scale of two is liking or not. */
function named({ label, value }, values) {
  if (values.length !== 2 || label !== String(value)) return label;
  return value > 0 ? words.like : words.dislike;
}

function few({ values }, answer) {
  const isScale = values.length > 2 && values.every((one) => one.label === String(one.value));
  const give = (one) => () => answer({ kind: "rating", value: one.value });
  const buttons = values.map((one) => button(named(one, values), one.key, give(one), isScale ? "level" : "option"));
  return {
    element: el("div", { class: isScale ? "answers levels" : "answers options", role: "group", "aria-labelledby": "asked" }, buttons),
    keys: values.map((one) => [one.key, give(one)]),
  };
}

/** Very many answers: one types a part of it, and takes one of those that are left. */
function many({ values }, answer) {
  const low = values.map((one) => one.label.toLowerCase());
  const found = el("div", { class: "answers options", role: "group", "aria-labelledby": "asked" });
  const told = el("p", { class: "hint", role: "status", "aria-live": "polite" });
  const input = el("input", { type: "text", id: "find", autocomplete: "off", spellcheck: false, "aria-label": words.find, placeholder: words.find });
  const give = (one) => answer({ kind: "rating", value: one.value });
  let first = null;
  function show() {
    const typed = input.value.trim().toLowerCase(), fits = [];
    for (let place = 0; place < values.length && fits.length < FOUND; place++) if (low[place].includes(typed)) fits.push(values[place]);
    first = typed ? (fits[0] ?? null) : null;
    found.replaceChildren(...fits.map((one) => button(one.label, "", () => give(one), "option")));
    told.textContent = say("found", { n: fits.length, of: values.length });
  }
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !first) return;
    event.preventDefault();
    event.stopPropagation();
    give(first);
  });
  show();
  return { element: el("div", { class: "search" }, input, told, found), keys: [["/", () => input.focus()]] };
}
