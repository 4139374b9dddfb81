// Tables, plots and the like, from what the service says. Cells are texts or elements, never HTML.

import { el, words } from "./dom.js";

const language = document.documentElement.lang;

export const amount = (n) => n.toLocaleString(language);
export const small = (text) => el("span", { class: "small-text" }, text);

/** A time as people of that language write it; empty where it is not known. */
export function when(seconds) {
  if (!seconds) return "";
  return new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

/** The same as a cell, in one line. */
export const at = (seconds) => el("span", { class: "one-line" }, when(seconds));

/** A table that scrolls by itself where the screen is narrow; the first cell names the row. */
export function table(name, columns, rows) {
  const head = el("tr", {}, columns.map((column) => el("th", { scope: "col" }, column)));
  const body = rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), rest.map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll", role: "region", tabIndex: 0, "aria-label": name }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
}

/** A plot, as the service drew it. */
function picture(svg, says) {
  const image = el("img", { alt: says, class: "plot" });
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  return el("figure", {}, image, el("figcaption", { class: "hint" }, says));
}

/** A plot with what its colours stand for, and the numbers behind it. */
export function plotted(svg, says, names, behind) {
  const isWide = matchMedia("(min-width: 60rem)").matches;
  return el("div", { class: "split" }, el("div", {}, picture(svg, says), legend(names)),
    el("details", { open: isWide }, el("summary", {}, words.as_table), behind));
}

/** What the colours stand for, in their order. */
function legend(names) {
  return el("ul", { class: "legend" }, names.map((name, place) => el("li", {}, el("span", { class: `colour c${place}`, "aria-hidden": "true" }), name)));
}
