// What an item looks like, wherever it is shown.

import { el } from "./dom.js";
import { bytes } from "./http.js";

/** What an item is called, and what else is known of it. */
export function titleOf(item) {
  return [el("span", { class: "name" }, item.title), item.year ? el("span", { class: "year" }, ` ${item.year}`) : null];
}

export function picture(item, side) {
  if (!item.has_image) return null;
  const shown = el("img", { alt: "", class: side, width: 96, height: 142 });
  bytes(`/v1/items/${encodeURIComponent(item.item_id)}/image`).then(
    (address) => (shown.src = address),
    () => shown.remove(),
  );
  return shown;
}
