// <script src="https://recommendations.example/embed.js" data-token="..." async></script>
// shows Palate's questions and list in a frame where the script stands. The token is one user's, made by your server
// (POST /v1/users/ID/tokens). When it has run out, the script element gets the event "palate-expired": set its
// data-token to a new one. data-language and data-theme ("light", "dark") are the page's own if they are not given.
(() => {
  const script = document.currentScript;
  const home = new URL(script.src).origin;
  const frame = document.createElement("iframe");
  const language = (script.dataset.language ?? document.documentElement.lang).split("-")[0];
  frame.src = `${home}/embed?language=${encodeURIComponent(language)}`;
  frame.title = script.dataset.title ?? "Palate";
  frame.style.cssText = "display: block; width: 100%; height: 40rem; border: 0;";
  frame.referrerPolicy = "no-referrer";

  const say = (what, more) => frame.contentWindow?.postMessage({ palate: what, ...more }, home);
  const give = () => say("token", { token: script.dataset.token ?? "" });
  const dress = () => say("theme", { theme: script.dataset.theme ?? ownTheme() });

  /** Of the page, as it says it to the browser; where it can be both, as the reader has chosen. */
  function ownTheme() {
    const said = getComputedStyle(script.parentElement).colorScheme;
    const schemes = said === "normal" ? document.querySelector("meta[name=color-scheme]")?.content ?? "" : said;
    return !schemes.includes("dark") ? "light" : schemes.includes("light") ? "" : "dark";
  }

  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.origin !== home) return;
    if (event.data?.palate === "ready") dress(), give();
    if (event.data?.palate === "height") frame.style.height = `${Math.min(Number(event.data.height) || 640, 4000)}px`;
    if (event.data?.palate === "expired") script.dispatchEvent(new CustomEvent("palate-expired"));
  });
  const changed = (records) => records.forEach((one) => (one.attributeName === "data-theme" ? dress() : give()));
  new MutationObserver(changed).observe(script, { attributes: true, attributeFilter: ["data-token", "data-theme"] });
  script.after(frame);
})();
