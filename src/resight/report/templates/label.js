"use strict";
const by = id => document.getElementById(id);
const column = name => sheet.columns.indexOf(name);
const seen = column("seen"), turn = {"": "yes", no: "yes", yes: "unsure", unsure: "no"};
const store = "resight-label " + sheet.rows.map(row => row[0]).join("|").split("")
  .reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7);
let at = 0, changed = false;

function keep() {
  changed = true;
  try { localStorage.setItem(store, text()); } catch { /* a browser that keeps nothing: the CSV is what counts */ }
}

function text() {
  const quote = cell => /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return [sheet.columns, ...sheet.rows].map(row => row.map(quote).join(",")).join("\n") + "\n";
}

function cells(given) {
  const rows = [[""]];
  let quoted = false;
  for (let place = 0; place < given.length; place++) {
    const letter = given[place], row = rows[rows.length - 1];
    if (quoted && letter === '"' && given[place + 1] === '"') { row[row.length - 1] += '"'; place++; }
    else if (letter === '"') quoted = !quoted;
    else if (letter === "," && !quoted) row.push("");
    else if (letter === "\n" && !quoted) rows.push([""]);
    else if (letter !== "\r" || quoted) row[row.length - 1] += letter;
  }
  return rows.filter(row => row.length > 1 || row[0]);
}

function take(given) {
  const [names, ...rows] = cells(given.replace(/^\ufeff/, ""));
  if (!names || !names.includes("file") || !names.includes("seen")) return -1;
  const known = new Map(sheet.rows.map(row => [row[0], row]));
  let count = 0;
  rows.forEach(row => {
    const mine = known.get(row[names.indexOf("file")]);
    if (!mine || row[names.indexOf("seen")] !== "yes") return;
    count++;
    names.forEach((name, place) => { if (name === "seen" || sheet.conditions.includes(name)) mine[column(name)] = row[place]; });
  });
  return count;
}

function show() {
  const row = sheet.rows[at], done = sheet.rows.filter(one => one[seen] === "yes").length;
  by("crop").src = sheet.pictures[at];
  by("place").textContent = `Picture ${at + 1} of ${sheet.rows.length}, ${done} done${row[seen] === "yes" ? "; this one is done" : ""}`;
  by("done").value = done;
  document.querySelectorAll("[data-condition]").forEach(one => {
    const answer = row[column(one.dataset.condition)] || "no";
    one.dataset.answer = answer;
    one.setAttribute("aria-pressed", {yes: "true", no: "false", unsure: "mixed"}[answer]);
    one.querySelector(".said").textContent = answer === "no" ? "" : answer;
  });
}

function toggle(name) {
  const row = sheet.rows[at];
  row[column(name)] = turn[row[column(name)]];
  keep();
  show();
}

function next() {
  const row = sheet.rows[at];
  sheet.conditions.forEach(name => { row[column(name)] = row[column(name)] || "no"; });
  row[seen] = "yes";
  keep();
  if (at + 1 < sheet.rows.length) at++;
  show();
}

function back() { at = Math.max(at - 1, 0); show(); }

function open() {
  const places = sheet.rows.map((_, place) => (at + 1 + place) % sheet.rows.length);
  at = places.find(place => sheet.rows[place][seen] !== "yes") ?? at;
  show();
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text()], {type: "text/csv"}));
  link.download = "labels.csv";
  link.click();
  changed = false;
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const keys = {Enter: next, ArrowRight: next, ArrowLeft: back, o: open, s: save};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(event.key), key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (number >= 1 && number <= sheet.conditions.length) toggle(sheet.conditions[number - 1]);
  else if (key in keys && !(key === "Enter" && event.target.closest("button, input"))) { event.preventDefault(); keys[key](); }
});
document.addEventListener("click", event => {
  const one = event.target.closest("button");
  if (!one) return;
  if (one.dataset.condition) toggle(one.dataset.condition);
  else ({next, back, open, save})[one.id]();
  one.blur();
});
by("load").addEventListener("change", async event => {
  const count = take(await event.target.files[0].text());
  by("warn").textContent = count < 0 ? "This is no CSV of labels: it needs the columns file and seen." : `${count} labelled pictures were read.`;
  event.target.blur();
  keep();
  at = -1;
  open();
});
window.addEventListener("beforeunload", event => { if (changed) event.preventDefault(); });
try { take(localStorage.getItem(store) || ""); } catch { /* nothing kept */ }
at = -1;
open();
if (at < 0) { at = 0; show(); }
