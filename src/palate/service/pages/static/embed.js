// <script src="https://recommendations.example/embed.js" data-token="..." async></script>
// shows Palate's questions and list in a frame where the script stands. The token is one user's, made by your server
// (POST /v1/users/ID/tokens). When it has run out, the script element gets the event "palate-expired": set its
// data-token to a new one.
(() => {
  const script = document.currentScript;
  const home = new URL(script.src).origin;
  const frame = document.createElement("iframe");
  const language = script.dataset.language ? `?language=${encodeURIComponent(script.dataset.language)}` : "";
  frame.src = `${home}/embed${language}`;
  frame.title = script.dataset.title ?? "Palate";
  frame.style.cssText = "width: 100%; height: 40rem; border: 0;";
  frame.referrerPolicy = "no-referrer";

  const give = () => frame.contentWindow.postMessage({ palate: "token", token: script.dataset.token ?? "" }, home);
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.origin !== home) return;
    if (event.data?.palate === "ready") give();
    if (event.data?.palate === "height") frame.style.height = `${Math.min(Number(event.data.height) || 640, 4000)}px`;
    if (event.data?.palate === "expired") script.dispatchEvent(new CustomEvent("palate-expired"));
  });
  new MutationObserver(give).observe(script, { attributes: true, attributeFilter: ["data-token"] });
  script.after(frame);
})();
