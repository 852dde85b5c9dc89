"use strict";
const root = document.documentElement;
const all = (query, from = document) => [...from.querySelectorAll(query)];

function speak(language) {
  root.lang = language;
  all("[data-say]").forEach(one => one.setAttribute(one.dataset.say, one.dataset[language]));
  all("[data-language]").forEach(one => one.setAttribute("aria-pressed", String(one.dataset.language === language)));
}

function choose(cause) {
  all("[data-of]").forEach(one => { one.hidden = Boolean(cause) && !one.dataset.of.split(" ").includes(cause); });
  all("[data-choose]").forEach(one => {
    const on = one.dataset.choose === cause;
    one.setAttribute("aria-pressed", String(on));
    one.closest("tr").classList.toggle("chosen", on);
    if (on) document.getElementById("chosen-name").innerHTML = one.innerHTML;
  });
  document.getElementById("chosen").hidden = !cause;
}

function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0], place = head.closest("th").cellIndex;
  const down = head.closest("th").getAttribute("aria-sort") !== "descending";
  all("th[aria-sort]", table).forEach(one => one.setAttribute("aria-sort", "none"));
  head.closest("th").setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[place].dataset.key;
  const rank = (a, b) => (a === "") - (b === "") || (down ? -1 : 1)
    * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  [...body.rows].filter(row => !row.classList.contains("last")).sort((a, b) => rank(key(a), key(b)))
    .concat([...body.rows].filter(row => row.classList.contains("last"))).forEach(row => body.append(row));
}

function save() {
  const quote = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const rows = all("[data-first]").map(one => {
    const answer = one.querySelector("input:checked");
    return [one.dataset.first, one.dataset.second, answer ? answer.value : ""].map(quote).join(",");
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([["first,second,same", ...rows, ""].join("\n")], {type: "text/csv"}));
  link.download = "label_fixes.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.addEventListener("click", event => {
  const at = query => event.target.closest(query);
  if (at("[data-language]")) speak(at("[data-language]").dataset.language);
  else if (at("[data-choose]")) {
    const one = at("[data-choose]");
    choose(one.getAttribute("aria-pressed") === "true" ? "" : one.dataset.choose);
  } else if (at("#all")) choose("");
  else if (at("[data-sort]")) sort(at("[data-sort]"));
  else if (at("#save")) save();
});
document.addEventListener("keydown", event => { if (event.key === "Escape") choose(""); });
document.addEventListener("change", event => {
  if (event.target.id === "overlay") root.classList.toggle("overlaid", event.target.checked);
});
root.classList.add("scripted");
speak(root.lang);
