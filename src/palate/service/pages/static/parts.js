// What every part of the operator's page does: fetch and show, ask whether it was meant, change once.

import { by, el, notice, say, words } from "./dom.js";
import { call } from "./http.js";

/** Fetch a part and show it in its place. */
export async function part(place, path, show) {
  try {
    const found = await call("GET", path, undefined, { seconds: 120 });
    by(place).replaceChildren(...[show(found)].flat().filter(Boolean));
  } catch (error) {
    if (error.status === 401) return location.reload(); // the session has ended: sign in again
    if (error.status === undefined) throw error;
    by(place).replaceChildren(el("p", { class: "bad" }, words.part_failed));
  }
  by(place).setAttribute("aria-busy", "false");
}

/** A question with a way back; true if it was meant. */
export function isSure(title, text, yes) {
  by("sure-title").textContent = title;
  by("sure-text").textContent = text;
  by("sure-yes").textContent = yes;
  by("sure").returnValue = "no";
  by("sure").showModal();
  return new Promise((resolve) => by("sure").addEventListener("close", () => resolve(by("sure").returnValue === "yes"), { once: true }));
}

/** Do something that changes the service, once however often the button is pressed; say what came of it. */
export async function change(button, work, done) {
  button.disabled = true;
  notice("");
  try {
    const found = await work();
    if (done) notice(done(found));
  } catch (error) {
    if (error.status === 401) return location.reload();
    if (error.status === undefined) throw error;
    notice(error.status === 0 ? words.unreachable : say("refused", { why: error.message }));
  } finally {
    button.disabled = false;
  }
}
