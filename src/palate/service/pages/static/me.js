// About me: interests with how sure, and what can be done with what is kept.

import { by, el, facts, notice, say, svg, words } from "./dom.js";
import { call } from "./http.js";
import { Outbox } from "./outbox.js";

const user = `/v1/users/${encodeURIComponent(facts.user)}`;
const quiet = () => undefined;
const outbox = new Outbox(facts.user, { delivered: quiet, refused: quiet, state: quiet });
const HALF = 100; // of the width of a bar, in its own units

async function showInterests() {
  try {
    await outbox.flush();
    const { interests } = await call("GET", `${user}/profile`);
    const most = Math.max(...interests.map((one) => Math.max(Math.abs(one.low), Math.abs(one.high))), 1e-9);
    const rows = interests.map((one) => row(one, HALF / most));
    by("interests").replaceChildren(...(rows.length ? rows : [el("li", {}, words.interests_none)]));
    by("interests").setAttribute("aria-busy", "false");
  } catch (error) {
    if (error.status === 401) location.replace("/");
    else by("interests").replaceChildren(el("li", {}, words.welcome_unreachable));
  }
}

/** What the interval says: sure on one side of the average, likely so, or open. */
function saying({ mean, low, high }) {
  if (low > 0) return "interest_more";
  if (high < 0) return "interest_less";
  if (Math.abs(mean) < (high - low) / 8) return "interest_open";
  return mean > 0 ? "interest_rather_more" : "interest_rather_less";
}

function row(one, scale) {
  const what = saying(one);
  const [low, mean, high] = [one.low, one.mean, one.high].map((value) => HALF + value * scale);
  const values = { name: one.category, what: words[what], low: one.low.toFixed(1), high: one.high.toFixed(1) };
  const bar = svg("svg", { viewBox: `0 0 ${2 * HALF} 12`, class: "bar", role: "img", "aria-label": say("interest_range", values), preserveAspectRatio: "none" },
    svg("line", { x1: HALF, x2: HALF, y1: 0, y2: 12, class: "zero" }),
    svg("rect", { x: low, width: Math.max(high - low, 1), y: 3, height: 6, rx: 3, class: "range" }),
    svg("rect", { x: mean - 1.5, width: 3, y: 1, height: 10, class: "mean" }));
  return el("li", { class: what }, el("span", { class: "name" }, one.category), bar, el("span", { class: "what", "aria-hidden": "true" }, words[what]));
}

by("delete").addEventListener("click", () => by("sure").showModal());
by("sure").addEventListener("close", async () => {
  if (by("sure").returnValue !== "yes") return;
  try {
    outbox.clear(); // nothing may come after
    const receipt = await call("DELETE", user, undefined, { seconds: 300 });
    forget();
    await call("DELETE", "/session").catch(quiet);
    document.querySelectorAll("main section").forEach((section) => section.remove());
    notice(say("deleted", { n: receipt.rows }), " ", el("a", { href: "/" }, words.start_again));
    by("main").focus();
  } catch {
    notice(words.delete_failed);
  }
});

by("sign-out").addEventListener("click", async () => {
  await outbox.flush();
  if (outbox.count) return notice(say("sign_out_unsent", { n: outbox.count }));
  try {
    await call("DELETE", "/session");
    forget();
    location.replace("/");
  } catch {
    notice(words.welcome_unreachable);
  }
});

function forget() {
  try {
    localStorage.removeItem(`palate.history.${facts.user}`);
  } catch {
    // nothing was kept
  }
}

showInterests();
