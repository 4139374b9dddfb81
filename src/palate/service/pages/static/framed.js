// Inside another site's page, which gives the token: by a message, or where it has no script, as a notebook's cell, behind
// the # of the frame's address. It is kept in this script alone, in no storage.

import { facts, notice, words } from "./dom.js";
import { call, useToken } from "./http.js";
import { begin, resume } from "./talk.js";

const frames = JSON.parse(document.getElementById("frames").textContent);
const given = new URLSearchParams(location.hash.slice(1));
let begun = false;

addEventListener("message", (event) => {
  if (event.source !== parent || !frames.includes(event.origin) || typeof event.data?.palate !== "string") return;
  if (event.data.palate === "theme") dress(event.data.theme);
  if (event.data.palate === "token" && typeof event.data.token === "string") take(event.data.token);
});

async function take(token) {
  useToken(token);
  try {
    const { user_id, answers } = await call("GET", "/session");
    if (begun && user_id !== facts.user) return location.reload(); // somebody else: nothing of the one before stays
    if (begun) return resume();
    begun = true;
    Object.assign(facts, { user: user_id, told: answers });
    begin({ onEnd: expired });
    tellHeight();
  } catch (error) {
    if (error.status === 401) expired("");
    else setTimeout(ask, 3000);
  }
}

/** For the token. */
function ask() {
  if (given.has("token")) take(given.get("token"));
  else tell("ready");
}

/** Light or dark as the page around it; anything else: as the reader has chosen. */
function dress(theme) {
  document.documentElement.dataset.theme = theme === "light" || theme === "dark" ? theme : "";
}

/** To the page around it, wherever it may be of those that may show this: nothing in it is a secret. */
function tell(what, more = {}) {
  for (const origin of frames) parent.postMessage({ palate: what, ...more }, origin);
}

function expired(text) {
  notice(text || (given.has("token") ? words.welcome_wrong : ""));
  tell("expired");
}

/** Of the body: the document itself is never lower than its frame. */
function tellHeight() {
  new ResizeObserver(() => tell("height", { height: document.body.offsetHeight })).observe(document.body);
}

history.replaceState(null, "", location.pathname + location.search); // the token is not for whoever copies the address
dress(given.get("theme"));
if (parent !== window) ask();
else notice(words.framed_alone); // an address with somebody's token, opened by somebody else
