// Answers on their way to the server. Each lies in the browser's storage, under a key made here, until the server has
// said that it is kept; sending it twice is once. All windows of one person share it.

import { call, CallError } from "./http.js";

const AT_ONCE = 20; // labels in one call
const LONGEST_WAIT = 15; // seconds between two tries
const PATIENT = new Set([0, 408, 425, 429]); // statuses after which the same again may pass, beside all from 500

export class Outbox {
  /**
   * @param user whose answers
   * @param on   delivered(entry, rows), refused(entry, error), state(name): "sent", "sending", "offline", "ended", "other"
   */
  constructor(user, on) {
    this.user = user;
    this.on = on;
    this.prefix = `palate.out.${encodeURIComponent(user)}:`; // no user's prefix begins with another's
    this.memory = new Map(); // where the browser keeps nothing
    this.isKept = true;
    this.ended = false;
    this.failures = 0;
    this.timer = 0;
    this.running = null;
    this.last = 0;
    addEventListener("online", () => this.flush());
    document.addEventListener("visibilitychange", () => document.hidden || this.flush());
    addEventListener("beforeunload", (event) => this.memory.size && event.preventDefault());
  }

  /** Names of what waits, oldest first. */
  names() {
    const found = [...this.memory.keys()];
    try {
      for (let place = 0; place < localStorage.length; place++) {
        const name = localStorage.key(place);
        if (name.startsWith(this.prefix)) found.push(name);
      }
    } catch {
      // no storage: what is in memory is all there is
    }
    return found.sort();
  }

  get count() {
    return this.names().length;
  }

  entries() {
    return this.names().flatMap((name) => {
      const text = this.memory.get(name) ?? localStorage.getItem(name); // another window may have sent it just now
      try {
        return text === null ? [] : [{ name, ...JSON.parse(text) }];
      } catch {
        return [];
      }
    });
  }

  /** Keep an answer here, and send it. */
  put(label) {
    this.keep({ op: "label", label });
  }

  /** Take an answer back, after it was sent, if it ever was. */
  undo(key) {
    this.keep({ op: "undo", key });
  }

  /** Keep a label, an undo, or any other call, which bears being sent twice, and send it in its turn. */
  keep(entry) {
    this.last = Math.max(Date.now(), this.last + 1);
    const name = `${this.prefix}${String(this.last).padStart(15, "0")}.${entry.label?.key ?? entry.key}`;
    try {
      localStorage.setItem(name, JSON.stringify(entry));
    } catch {
      this.memory.set(name, JSON.stringify(entry));
      this.isKept = false;
    }
    this.on.state("sending");
    this.flush();
  }

  drop(entry) {
    this.memory.delete(entry.name);
    try {
      localStorage.removeItem(entry.name);
    } catch {
      // it was in memory
    }
  }

  clear() {
    this.entries().forEach((entry) => this.drop(entry));
  }

  /** Send what waits, one window at a time; resolves when nothing waits, or it has to be tried later. */
  flush() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.ended) return this.on.state(this.ended);
    this.running ??= this.alone(() => this.sendAll()).finally(() => {
      this.running = null;
      if (!this.timer && !this.ended && this.count) this.flush(); // came while the last was being sent
    });
    return this.running;
  }

  /** One window at a time; where a browser has no locks for a frame, sending twice is still once. */
  async alone(work) {
    let begun = false;
    try {
      return await navigator.locks.request(this.prefix, () => (begun = true) && work());
    } catch (error) {
      if (begun) throw error;
      return work();
    }
  }

  async sendAll() {
    let size = AT_ONCE;
    for (let waiting = this.entries(); waiting.length; waiting = this.entries()) {
      const batch = this.firstOf(waiting, size);
      try {
        const rows = await this.send(batch);
        batch.forEach((entry) => this.drop(entry));
        this.failures = 0;
        batch.forEach((entry) => this.on.delivered(entry, rows.filter((row) => row.key.startsWith(entry.label?.key))));
      } catch (error) {
        if (!(error instanceof CallError)) this.later({ retrySeconds: LONGEST_WAIT }); // a fault of ours: no endless loop
        if (!(error instanceof CallError)) throw error;
        if (error.status === 401) return this.end("ended");
        if (error.status === 403 && error.code === "forbidden") return this.end("other");
        if (PATIENT.has(error.status) || error.status >= 500) return this.later(error);
        if (batch.length > 1) {
          size = 1; // one of them cannot be taken: which one shows when each goes alone
          continue;
        }
        this.drop(batch[0]);
        this.on.refused(batch[0], error);
      }
    }
    this.on.state("sent");
  }

  /** Labels that follow each other go together; anything else goes alone, in its turn. */
  firstOf(waiting, size) {
    if (waiting[0].op !== "label") return waiting.slice(0, 1);
    const end = waiting.findIndex((entry) => entry.op !== "label");
    return waiting.slice(0, Math.min(size, end < 0 ? waiting.length : end));
  }

  async send(batch) {
    if (batch[0].op === "label") return (await call("POST", "/v1/labels", batch.map((entry) => entry.label))).labels;
    if (batch[0].op === "call") {
      await call(batch[0].method, batch[0].path, batch[0].body);
      return [];
    }
    try {
      await call("DELETE", `/v1/labels/${encodeURIComponent(batch[0].key)}`);
    } catch (error) {
      if (error.status !== 404) throw error; // it never came, or was refused: there is nothing to take back
    }
    return [];
  }

  end(how) {
    this.ended = how;
    this.on.state(how);
  }

  later(error) {
    this.failures += 1;
    const wait = Math.max(error.retrySeconds, Math.min(LONGEST_WAIT, 2 ** (this.failures - 1)));
    this.on.state("offline");
    this.timer = setTimeout(() => this.flush(), wait * 1000);
  }
}
