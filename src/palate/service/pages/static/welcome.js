// The way in: a session for somebody new, or for the holder of an access code.

import { by, notice, words } from "./dom.js";
import { call } from "./http.js";

by("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = by("token")?.value.trim();
  if (by("token") && !token) return by("token").focus();
  notice("");
  try {
    await call("POST", "/session", token ? { token } : {});
    location.replace("/");
  } catch (error) {
    notice({ 0: words.welcome_unreachable, 401: words.welcome_wrong, 403: words.welcome_elsewhere }[error.status] ?? error.message);
    by("token")?.focus();
  }
});
