// Calls to the service. With a session the browser sends its cookie; inside another site's page a token is given.

let token = "";

export function useToken(given) {
  token = given;
}

/** What the service refused, or that it could not be reached (status 0). */
export class CallError extends Error {
  constructor(status, code = "", message = "", retrySeconds = 0) {
    super(message);
    Object.assign(this, { status, code, retrySeconds });
  }
}

async function send(method, path, body, { signal, seconds = 15 } = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const inTime = AbortSignal.timeout(seconds * 1000);
  try {
    const response = await fetch(path, {
      method,
      headers,
      credentials: token ? "omit" : "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, inTime]) : inTime,
    });
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    const retry = Number(response.headers.get("retry-after") ?? 0);
    throw new CallError(response.status, said.error?.code, said.error?.message, retry);
  } catch (error) {
    if (error instanceof CallError) throw error;
    throw new CallError(0, signal?.aborted ? "aborted" : "unreachable", String(error));
  }
}

/** The JSON of an answer. */
export async function call(method, path, body, options) {
  const response = await send(method, path, body, options);
  try {
    return await response.json();
  } catch (error) {
    throw new CallError(0, "unreachable", String(error)); // the connection was cut in the middle
  }
}

/** The bytes of an image or a sound, as an address for this page alone. */
export async function bytes(path) {
  return URL.createObjectURL(await (await send("GET", path)).blob());
}

const seen = new Map();

/** What items are, by id; each is asked for once. */
export async function details(ids) {
  const missing = ids.filter((id) => !seen.has(id));
  for (let at = 0; at < missing.length; at += 50) {
    const query = missing.slice(at, at + 50).map((id) => `id=${encodeURIComponent(id)}`).join("&");
    for (const item of (await call("GET", `/v1/items?${query}`)).items) seen.set(item.item_id, item);
  }
  return ids.map((id) => seen.get(id) ?? { item_id: id, title: id, year: "", categories: [], text: "", has_image: false });
}

/** A key that no other answer has. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
