// Keeps this folder's own files, so that the page opens without a network. What is newer comes first where there is one.

const KEPT = "palate-device";
const FILES = [
  "./", "index.html", "zh.html", "style.css", "icon.svg", "belief.js", "device.js", "dom.js", "kept.js", "model.js", "press.js", "model.bin",
];

addEventListener("install", (event) => event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES))));
addEventListener("fetch", (event) => event.respondWith(answered(event.request)));

async function answered(request) {
  const cache = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
