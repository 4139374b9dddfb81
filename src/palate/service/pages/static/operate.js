// What an operator sees and does. Every part is fetched by itself, so that one that takes long holds up no other.

import { by, el, facts, notice, say, words } from "./dom.js";
import { showCampaigns } from "./campaigns.js";
import { call } from "./http.js";
import { change, isSure, part } from "./parts.js";
import { amount, at, plotted, small, table, when } from "./tables.js";

const isDark = matchMedia("(prefers-color-scheme: dark)");
const dark = () => `?dark=${isDark.matches ? 1 : 0}`;

// ---- the model ----

function showVersions({ models }) {
  const promote = (model) => {
    const button = el("button", { type: "button" }, words.promote);
    button.addEventListener("click", async () => {
      if (!(await isSure(say("promote_sure", { id: model.id }), words.promote_text, words.promote))) return;
      await change(button, () => call("POST", `/v1/models/${model.id}/promote`, undefined, { seconds: 300 }), (now) => say("serves_now", { id: now.id }));
      versions();
    });
    return button;
  };
  const rows = models.map((model) => [
    model.id, at(model.saved_at), amount(model.fitted_seq), small(model.digest.slice(0, 12)),
    model.is_live ? words.serves : facts.isAdmin ? promote(model) : "",
  ]);
  if (by("rollback")) by("rollback").disabled = models.filter((model) => Number(model.id) < Number(models[0].id)).length === 0;
  return table(words.versions_title, [words.version, words.saved, words.knows_up_to, words.digest, words.state], rows);
}

const versions = () => part("versions", "/v1/models", showVersions);

by("rollback")?.addEventListener("click", async () => {
  if (!(await isSure(words.rollback_sure, words.promote_text, words.rollback))) return;
  await change(by("rollback"), () => call("POST", "/v1/models/rollback", undefined, { seconds: 300 }), (now) => say("serves_now", { id: now.id }));
  versions();
});

// ---- answers, learning, drift, what was asked ----

const channel = (name) => (name === "*" ? words.other_channels : name || words.no_channel);

function showAnswers({ channels, rows, plot }) {
  if (!rows.length) return el("p", {}, words.answers_none);
  const columns = [words.day, words.channel, words.answered, words.unknown, words.no_opinion, words.skipped];
  const cells = rows.map((row) => [el("span", { class: "one-line" }, row.day), channel(row.channel), ...["rating", "unknown", "no-opinion", "skipped"].map((kind) => amount(row[kind]))]);
  return plotted(plot, words.answers_plot, channels.map(channel), table(words.answers_title, columns, cells));
}

const between = (mean, low, high) => [mean.toFixed(2), small(` ${low.toFixed(2)}–${high.toFixed(2)}`)];

function showLearning({ points, people, answers, plot, drift }) {
  by("drift-shown").replaceChildren(...showDrift(drift));
  by("drift-shown").setAttribute("aria-busy", "false");
  if (!points.length) return el("p", {}, say("learning_none", { n: people }));
  const columns = [words.told_before, words.people, words.answers, words.error, words.error_at_start];
  const rows = points.map((one) => [
    one.told, amount(one.people), amount(one.answers), between(one.error, one.low, one.high), between(one.at_start, one.at_start_low, one.at_start_high),
  ]);
  return [
    plotted(plot, words.learning_plot, [words.line_error, words.line_start], table(words.learning_title, columns, rows)),
    el("p", { class: "hint" }, say("learning_of", { people: amount(people), answers: amount(answers) })),
  ];
}

function showDrift({ answers, loss, overall, users, n_users: n }) {
  if (!answers) return [el("p", {}, words.drift_none)];
  const said = [el("p", {}, say("drift_loss", { n: amount(answers), loss: loss.toFixed(2) }))];
  const all = overall ? say("drift_all", { at: when(overall.at), before: overall.before.toFixed(2), after: overall.after.toFixed(2) }) : words.drift_all_none;
  said.push(el("p", { class: overall ? "bad" : "good" }, all));
  if (!n) return [...said, el("p", {}, words.drift_users_none)];
  const rows = users.map((one) => [one.user_id, at(one.at), one.before.toFixed(2), one.after.toFixed(2)]);
  return [...said, el("p", {}, say("drift_users", { n: amount(n) })), table(words.drift_title, [words.user, words.since, words.before, words.after], rows)];
}

function showAsked({ asked }) {
  if (!asked.length) return el("p", {}, words.answers_none);
  const columns = [words.item, words.user, words.answer, words.reason, words.gain, words.chance, words.who, words.at];
  const rows = asked.map((one) => [
    [one.titles.join(" / ") || "—", small(` ${one.form}`)],
    one.user_id,
    [one.kind === "rating" ? String(one.value ?? "✓") : words[one.kind.replace("-", "_")], one.is_taken_back ? small(` ${words.taken_back}`) : null],
    one.reason || words.unasked,
    one.gain === null ? "" : [one.gain.toPrecision(3), small(` ${one.unit}`)],
    one.propensity === null ? "" : one.propensity.toPrecision(2),
    [one.source, small(` ${channel(one.channel)}`)],
    at(one.at),
  ]);
  return table(words.asked_title, columns, rows);
}

// ---- keys ----

function showKeys({ keys, mine }) {
  if (!keys.length) return el("p", {}, words.keys_none);
  const revoke = (key, forget) => {
    const button = el("button", { type: "button", class: "quiet danger" }, forget ? words.forget : words.revoke);
    button.addEventListener("click", async () => {
      const text = [forget ? words.forget_text : words.revoke_text, key.id === mine ? words.revoke_mine : ""].join(" ").trim();
      if (!(await isSure(say("revoke_sure", { name: key.name }), text, forget ? words.forget : words.revoke))) return;
      await change(button, () => call("POST", `/operate/keys/${key.id}/revoke`, { forget }), () => say("revoked", { name: key.name }));
      showAllKeys();
    });
    return button;
  };
  const ends = (key) => (key.revoked_at ? say("revoked_at", { at: when(key.revoked_at) }) : key.expires_at ? when(key.expires_at) : words.never);
  const rows = keys.map((key) => [
    key.name, words[`role_${key.role}`], key.source || "", small(key.id), at(key.made_at), ends(key),
    key.is_good ? [revoke(key, false), key.role === "annotator" ? revoke(key, true) : null] : "",
  ]);
  return table(words.keys_title, [words.key_name, words.key_role, words.pseudonym, words.key_id, words.made, words.ends, words.state], rows);
}

const showAllKeys = () => facts.isAdmin && part("keys-shown", "/operate/keys", showKeys);

by("add-key")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = { role: by("key-role").value };
  if (by("key-name").value.trim()) wanted.name = by("key-name").value.trim();
  if (by("key-days").value) wanted.days = Number(by("key-days").value);
  await change(event.submitter ?? event.target.querySelector("button"), async () => {
    const made = await call("POST", "/operate/keys", wanted);
    const shown = el("code", { tabIndex: 0 }, made.key);
    const copy = el("button", { type: "button", onclick: () => navigator.clipboard?.writeText(made.key) }, words.copy);
    const gone = el("button", { type: "button", onclick: () => hideKey() }, words.close);
    by("new-key").replaceChildren(el("p", {}, say("key_new", { name: made.name })), el("p", {}, shown), el("div", { class: "actions" }, copy, gone));
    by("new-key").hidden = false;
    by("add-key").reset();
  });
  showAllKeys();
});

function hideKey() {
  by("new-key").replaceChildren();
  by("new-key").hidden = true;
  by("key-name").focus();
}

// ---- erasures ----

function showErasures({ erasures }) {
  if (!erasures.length) return el("p", {}, words.erasures_none);
  const rows = erasures.map((one) => [at(one.erased_at), amount(one.rows), amount(one.seq), small(one.key)]);
  return table(words.erasures_title, [words.at, words.rows, words.row, words.receipt], rows);
}

const showAllErasures = () => part("erasures-shown", "/operate/erasures", showErasures);

by("erase").addEventListener("submit", async (event) => {
  event.preventDefault();
  const user = by("erase-user").value;
  if (!user.trim()) return by("erase-user").focus();
  if (!(await isSure(say("erase_sure", { user }), words.erase_text, words.erase))) return;
  await change(event.submitter ?? by("erase").querySelector("button"), async () => {
    const receipt = await call("DELETE", `/v1/users/${encodeURIComponent(user)}`, undefined, { seconds: 300 });
    by("erase-user").value = "";
    return receipt;
  }, (receipt) => say("erased", { n: receipt.rows, key: receipt.key }));
  showAllErasures();
});

by("sign-out").addEventListener("click", async () => {
  try {
    await call("DELETE", "/session");
    location.reload();
  } catch {
    notice(words.unreachable);
  }
});

const showPlots = () => {
  part("answers-shown", `/operate/answers${dark()}`, showAnswers);
  part("learning-shown", `/operate/learning${dark()}`, showLearning);
};
isDark.addEventListener("change", showPlots);
versions();
showCampaigns();
part("asked-shown", "/operate/asked", showAsked);
showAllKeys();
showAllErasures();
showPlots();
