// Inside another site's page. The page around it gives the token: it is kept in this script alone, in no storage.

import { facts, notice } from "./dom.js";
import { call, useToken } from "./http.js";
import { begin, resume } from "./talk.js";

const frames = JSON.parse(document.getElementById("frames").textContent);
let begun = false;

addEventListener("message", async (event) => {
  if (event.source !== parent || !frames.includes(event.origin) || typeof event.data?.palate !== "string") return;
  if (event.data.palate !== "token" || typeof event.data.token !== "string") return;
  useToken(event.data.token);
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
    else setTimeout(() => tell("ready"), 3000); // it will send the token again
  }
});

/** To the page around it, wherever it may be of those that may show this: nothing in it is a secret. */
function tell(what, more = {}) {
  for (const origin of frames) parent.postMessage({ palate: what, ...more }, origin);
}

function expired(text) {
  notice(text);
  tell("expired");
}

function tellHeight() {
  new ResizeObserver(() => tell("height", { height: document.documentElement.scrollHeight })).observe(document.body);
}

tell("ready");
