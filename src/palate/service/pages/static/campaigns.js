// Campaigns on the operator's page: how far each is, who answers it and how well, made, paused, closed, downloaded.

import { by, el, notice, say, words } from "./dom.js";
import { call, newKey } from "./http.js";
import { change, isSure, part } from "./parts.js";
import { amount, small, table } from "./tables.js";

const NEXT = { open: ["paused", "closed"], paused: ["open", "closed"], closed: ["open"] };
const AT_ONCE = 20; // campaigns whose numbers are fetched unasked, the last ones
const opened = new Set(); // campaigns of which the annotators are shown

export const showCampaigns = () => part("campaigns-shown", "/v1/campaigns", ({ campaigns }) => (campaigns.length ? campaigns.map((one, place) => row(one, place < AT_ONCE)) : el("p", {}, words.campaigns_none)));

const path = (campaign, rest = "") => `/v1/campaigns/${encodeURIComponent(campaign.id)}${rest}`;

function row(campaign, isCounted) {
  const numbers = el("dl", { class: "progress", "aria-busy": "true" }), bar = el("progress", { hidden: true, "aria-label": words.progress });
  const more = el("div", {}, el("p", { class: "hint" }, words.loading));
  const people = el("details", { open: opened.has(campaign.id) }, el("summary", {}, words.annotators), more);
  people.addEventListener("toggle", () => {
    people.open ? opened.add(campaign.id) : opened.delete(campaign.id);
    if (people.open) showAnnotators(campaign, more);
    if (people.open && !isCounted) showProgress(campaign, numbers, bar);
  });
  const what = campaign.subject === "taste" ? words.about_taste : campaign.subject;
  const shown = el("article", { class: "campaign", "aria-label": campaign.name },
    el("h3", {}, campaign.name, " ", small(`${what} · ${words[`state_${campaign.state}`]}`)),
    el("p", {}, campaign.question), bar, numbers, buttons(campaign), people);
  if (isCounted || people.open) showProgress(campaign, numbers, bar);
  if (people.open) showAnnotators(campaign, more);
  return shown;
}

async function showProgress(campaign, numbers, bar) {
  const { progress } = await quietly(path(campaign));
  numbers.setAttribute("aria-busy", "false");
  if (!progress) return numbers.replaceChildren(el("div", {}, el("dt", { class: "bad" }, words.part_failed)));
  const left = progress.budget_left;
  const told = [
    [words.labels, amount(progress.labels)], [words.skipped, amount(progress.skipped)], [words.flagged, amount(progress.flagged)],
    [words.leased, amount(progress.leased)], left === null ? null : [words.left, amount(left)],
    [words.spent, amount(progress.spent)], [words.gain_left, progress.expected_gain_left.toPrecision(2)],
  ].filter(Boolean);
  numbers.replaceChildren(...told.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  bar.hidden = left === null;
  if (left !== null) [bar.max, bar.value] = [Math.max(1, progress.labels + left), progress.labels];
}

/** What a call gives; nothing where it cannot be had. */
async function quietly(address) {
  try {
    return await call("GET", address, undefined, { seconds: 60 });
  } catch (error) {
    if (error.status === undefined) throw error;
    return {};
  }
}

function buttons(campaign) {
  const made = NEXT[campaign.state].map((state) => {
    const button = el("button", { type: "button" }, words[`make_${state}`]);
    button.addEventListener("click", async () => {
      if (state === "closed" && !(await isSure(say("close_sure", { name: campaign.name }), words.close_text, words.make_closed))) return;
      await change(button, () => call("POST", path(campaign, "/state"), { state }));
      showCampaigns();
    });
    return button;
  });
  const file = el("a", { class: "button", href: path(campaign, "/labels.jsonl"), download: `palate-${campaign.id}.jsonl` }, words.campaign_file);
  if (campaign.subject === "taste") return el("div", { class: "actions" }, made, file);
  const truths = el("a", { class: "button", href: path(campaign, "/consensus.jsonl"), download: `palate-${campaign.id}-consensus.jsonl` }, words.consensus_file);
  return el("div", { class: "actions" }, made, file, truths);
}

async function showAnnotators(campaign, place) {
  const [{ progress }, quality] = await Promise.all([quietly(path(campaign)), quietly(path(campaign, "/quality"))]);
  if (!progress) return place.replaceChildren(el("p", { class: "bad" }, words.part_failed));
  const judged = new Map((quality.annotators ?? []).map((one) => [one.source, one]));
  const columns = [words.pseudonym, words.labels, words.skipped, words.flagged, words.seconds_each];
  const number = (value, digits = 2) => (value === null || value === undefined ? "" : value.toFixed(digits));
  const rows = progress.annotators.map((one) => {
    const of = judged.get(one.source);
    const cells = [one.source, amount(one.labels), amount(one.skipped), amount(one.flagged), number(one.median_seconds, 1)];
    if (!quality.annotators) return cells;
    return [
      ...cells,
      of?.gold?.of ? `${of.gold.right}/${of.gold.of}` : "", of?.repeats?.of ? `${of.repeats.same}/${of.repeats.of}` : "",
      of?.reliability == null ? "" : [number(of.reliability), small(` ${number(of.low)}–${number(of.high)}`)],
      number(of?.weight), (of?.flags ?? []).map((flag) => words[`flag_${flag}`] ?? flag).join(", "),
    ];
  });
  if (quality.annotators) columns.push(words.gold, words.repeats, words.reliability, words.weight, words.flags);
  const parts = [rows.length ? table(words.annotators, columns, rows) : el("p", {}, words.annotators_none)];
  const { agreement, consensus } = quality;
  if (agreement?.units) {
    const named = [["percent", words.percent], ["cohen", "Cohen κ"], ["fleiss", "Fleiss κ"], ["krippendorff", "Krippendorff α"]];
    const told = named.filter(([name]) => agreement[name] !== null && agreement[name] !== undefined);
    const list = told.map(([name, title]) => el("div", {}, el("dt", {}, title), el("dd", {}, number(agreement[name]))));
    parts.push(el("p", {}, say("agreement", { n: amount(agreement.units) })), el("dl", { class: "progress" }, list));
  }
  if (consensus?.items) {
    const said = say("consensus", { n: amount(consensus.items), share: `${Math.round(100 * consensus.expected_right)} %` });
    parts.push(el("p", {}, said, consensus.is_calibrated ? "" : ` ${words.consensus_guess}`));
  }
  place.replaceChildren(...parts);
}

// ---- a new one ----

const field = (name) => by(`make-${name}`).value.trim();
const lines = (name) => field(name).split("\n").map((line) => line.trim()).filter(Boolean);
const NUMBERS = ["overlap", "budget", "price", "lease_seconds", "stop"];

/** What the form says, as the service takes it. */
function wanted() {
  const isTaste = field("about") === "taste";
  const said = { key, name: field("name"), question: field("question"), subject: isTaste ? "taste" : field("subject"), items: lines("items") };
  if (isTaste) said.users = lines("users");
  else {
    said.options = lines("options");
    said.gold = Object.fromEntries(lines("gold").map((line) => truth(line, said.options)));
  }
  for (const name of [...NUMBERS, isTaste ? "repeat_every" : "gold_every"]) if (field(name) !== "") said[name] = Number(field(name));
  return said;
}

/** "item = option": the item, and the place of the option. */
function truth(line, options) {
  const at = line.lastIndexOf("=");
  return [line.slice(0, at).trim(), options.indexOf(line.slice(at + 1).trim())];
}

function showFields() {
  for (const kind of ["taste", "attribute"]) {
    document.querySelectorAll(`#make .of-${kind}`).forEach((label) => (label.hidden = field("about") !== kind));
  }
}

let key = newKey(); // of the campaign that is being made: sent again it is the same one

by("make-about").addEventListener("change", showFields);
by("make-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await change(event.submitter ?? by("make-form").querySelector("button"), async () => {
    const { campaign } = await call("POST", "/v1/campaigns", wanted());
    key = newKey();
    by("make-form").reset();
    showFields();
    by("make").open = false;
    return campaign;
  }, (campaign) => say("campaign_made", { name: campaign.name }));
  by("notice").scrollIntoView({ block: "nearest" });
  showCampaigns();
});
showFields();
