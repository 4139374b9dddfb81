// The way in for whoever holds a key. The browser gets a session for it, in a cookie that no script reads.

import { by, notice, words } from "./dom.js";
import { call } from "./http.js";

by("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = by("key").value.trim();
  if (!key) return by("key").focus();
  notice("");
  try {
    await call("POST", "/session", { key, page: by("enter").dataset.page });
    by("key").value = "";
    location.reload();
  } catch (error) {
    const isElsewhere = error.status === 403 && !error.message.includes("role");
    const said = { 0: words.unreachable, 401: words.key_wrong, 403: isElsewhere ? words.elsewhere : words.key_other, 429: words.key_often };
    notice(said[error.status] ?? error.message);
    by("key").select();
  }
});
by("key").focus();
