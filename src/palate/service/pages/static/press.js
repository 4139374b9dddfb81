// Keys and clicks on cards that follow each other: what was meant for one is no answer to the next.

import { by } from "./dom.js";
import { store, stored } from "./kept.js";

const AGAIN = 350; // milliseconds in which a second click is the same one
const YOUNG = 250; // milliseconds of a card in which a key was meant for the one before

/**
 * @param area    where clicks answer
 * @param shownAt when the card was shown, by performance.now()
 * @param press   what a key does on the card: true if it did something
 * @param own     what keys do whatever is shown
 */
export function watchPresses(area, { shownAt, press, own }) {
  let lastIgnored = -Infinity;

  /** A double click is one answer, also where the next card has its button in the same place. */
  function onceOnly(event) {
    if (!event.detail || event.target.closest("summary") || event.timeStamp - Math.max(shownAt(), lastIgnored) > AGAIN) return;
    lastIgnored = event.timeStamp;
    event.stopPropagation();
    event.preventDefault();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") by("question").focus();
      return;
    }
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return; // its own key
    if (event.key.length === 1 && !by("keys-on").checked) return;
    if (own[event.key]) own[event.key]();
    else if (performance.now() - shownAt() < YOUNG || !press(event.key)) return;
    event.preventDefault();
  }

  area.addEventListener("click", onceOnly, true);
  document.addEventListener("keydown", onKey);
  by("help").addEventListener("click", () => by("keys").showModal());
  by("keys-on").checked = stored("palate.keys") !== "off";
  by("keys-on").addEventListener("change", (event) => store("palate.keys", event.target.checked ? "on" : "off"));
}
