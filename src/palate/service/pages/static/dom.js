// Elements, words and facts of the page. Text goes in as text: nothing here ever makes HTML of a string.

const data = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "{}");

export const words = data("words");
export const facts = data("facts");

/** A sentence with its numbers and names put in. */
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (_all, key) => String(values[key]));
}

/** An element. Properties that begin with "on" are listeners; "class" and "aria-..." are attributes. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.startsWith("aria-")) made[name] = value;
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A button with its key on it; what is called like its key is the key alone. */
export function button(text, key, work, kind = "") {
  const shown = key === text ? [el("kbd", {}, key)] : [el("span", {}, text), " ", key ? el("kbd", {}, key) : null];
  return el("button", { type: "button", class: kind, "aria-keyshortcuts": key || null, onclick: work }, shown);
}

export const by = (id) => document.getElementById(id);

/** Something that must be read now; empty hides it. */
export function notice(text, ...more) {
  const place = by("notice");
  place.replaceChildren(text, ...more);
  place.hidden = !text;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
