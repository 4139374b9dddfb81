// What is remembered in this browser. Where it keeps nothing, nothing can be taken back after a reload.

export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // there is no storage
  }
}

/** Answers that can be taken back, oldest first. */
export class History {
  constructor(name, most) {
    this.name = name;
    this.most = most;
  }

  all() {
    try {
      return JSON.parse(stored(this.name) ?? "[]");
    } catch {
      return [];
    }
  }

  keep(all) {
    store(this.name, JSON.stringify(all.slice(-this.most)));
  }

  push(one) {
    this.keep([...this.all(), one]);
  }

  pop() {
    const all = this.all();
    const last = all.pop();
    this.keep(all);
    return last;
  }

  /** Without the answer of a key. */
  drop(key) {
    this.keep(this.all().filter((one) => one.keys[0] !== key));
  }
}
