// The controls of the page and their handlers.
const find = (id) => document.getElementById(id);

function say(text) {
  find("status").textContent = text;
}

function complain(text) {
  find("alert").textContent = text;
  find("alert").hidden = !text;
}

// Decides on a row; null removes the decision. Returns false if a change has no class to change to.
function choose(row, decision, changed = null) {
  if (decision === "change" && changed === null) {
    const other = Number(elementOf(row).querySelector(".target").value || NaN);
    if (Number.isNaN(other)) {
      elementOf(row).querySelector(".target").focus();
      say("No other class is suggested: choose one.");
      return false;
    }
    changed = other;
  }
  decide(row, decision, changed);
  mark(elementOf(row), row);
  const what = { keep: "keep", drop: "drop", change: `change to ${data.classes[changed]}` }[decision] ?? "no decision";
  say(`${data.ids[row]}: ${what}. ${counted(decisions.size)} decided.`);
  showTally();
  return true;
}

function showTally() {
  const count = { keep: 0, change: 0, drop: 0 };
  for (const record of decisions.values()) count[record.decision]++;
  const elsewhere = [...decisions.keys()].filter((id) => !rowOf.has(id)).length;
  const parts = DECISIONS.map((name) => `${counted(count[name])} ${name}`).join(", ");
  const more = elsewhere ? `; ${counted(elsewhere)} on rows that are not in this table` : "";
  const lost = keeps ? "" : " This browser keeps no decisions: export them before you close the page.";
  find("tally").textContent = decisions.size ? `${counted(decisions.size)} decided: ${parts}${more}.${lost}` : `Nothing decided yet.${lost}`;
  for (const id of ["export-csv", "export-jsonl", "clear"]) find(id).disabled = decisions.size === 0;
}

function showRows() {
  const rows = onPage();
  find("rows").replaceChildren(...rows.map(rowElement));
  find("nothing").hidden = rows.length > 0;
  const first = view.page * PAGE + 1;
  find("page").textContent = rows.length ? `${counted(first)} to ${counted(first + rows.length - 1)} of ${counted(kept.order.length)}` : "";
  find("previous").disabled = view.page === 0;
  find("next").disabled = view.page + 1 >= pages();
}

function showSort() {
  find("sort").value = view.sort;
  const named = view.falling ? "Largest first" : "Smallest first";
  find("direction").textContent = view.falling ? "↓" : "↑";
  find("direction").setAttribute("aria-label", named);
  find("direction").title = named;
  for (const button of document.querySelectorAll("[data-sort]")) {
    const chosen = button.dataset.sort === view.sort;
    const order = view.falling ? "descending" : "ascending";
    button.closest("th").setAttribute("aria-sort", chosen ? order : "none");
  }
}

function refresh() {
  arrange();
  showSort();
  showRows();
  say(`${counted(kept.order.length)} rows.`);
}

function sortBy(name) {
  view.falling = view.sort === name ? !view.falling : !["id", "label", "suggested"].includes(name);
  view.sort = name;
  refresh();
}

function fill(id, everything, choices) {
  const options = choices.map(([value, name]) => element("option", { value }, name));
  find(id).append(element("option", { value: "" }, everything), ...options);
}

function countOf(values, size) {
  const counts = new Array(size).fill(0);
  for (const value of values) counts[value]++;
  return counts;
}

function fillFilters() {
  const choices = (names, values) => countOf(values, names.length)
    .map((count, k) => [k, `${isolated(cut(names[k], 60))} (${counted(count)})`, count]).filter(([, , count]) => count);
  fill("by-label", "any", choices(data.classes, data.labels));
  fill("by-suggested", "any", choices(data.classes, data.suggested));
  const kinds = data.reasons.flatMap((reasons) => [...new Set(reasons.map(([kind]) => kind))]);
  fill("by-reason", "any", choices(data.kinds, kinds));
  fill("by-decision", "any", [["none", "undecided"], ...DECISIONS.map((name) => [name, name])]);
  find("sort").append(...Object.entries(SORTS).map(([name, sort]) => element("option", { value: name }, sort.name)));
  const numbered = data.classes.slice(0, 9).map((name, k) => element("span", {}, `${k + 1} `, element("bdi", {}, name)));
  find("class-numbers").append(...numbered);
}

const FILTERS = { search: "search", label: "by-label", suggested: "by-suggested", reason: "by-reason", decision: "by-decision" };

function filter() {
  for (const [name, id] of Object.entries(FILTERS)) view[name] = find(id).value;
  view.search = view.search.trim().toLowerCase();
  refresh();
}

function showAll() {
  for (const id of Object.values(FILTERS)) find(id).value = "";
  filter();
}

function showTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("theme").textContent = dark ? "Light" : "Dark";
  find("theme").setAttribute("aria-pressed", String(dark));
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => readStored("hf_noisy-audit:theme");
  const isDark = () => (chosen() ? chosen() === "dark" : system.matches);
  showTheme(isDark());
  system.addEventListener("change", () => showTheme(isDark()));
  find("theme").hidden = false;
  find("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    writeStored("hf_noisy-audit:theme", dark ? "dark" : "light");
    showTheme(dark);
  });
}

function listen() {
  let waiting = 0;
  find("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  for (const id of Object.values(FILTERS)) find(id).addEventListener("change", filter);
  find("sort").addEventListener("change", (event) => { view.sort = ""; sortBy(event.target.value); });
  find("direction").addEventListener("click", () => { view.falling = !view.falling; refresh(); });
  for (const button of document.querySelectorAll("[data-sort]")) button.addEventListener("click", () => sortBy(button.dataset.sort));
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("reset").addEventListener("click", showAll);
  find("rows").addEventListener("focusin", (event) => {
    const row = event.target.closest("tr");
    setCurrent([...find("rows").children].indexOf(row), false);
  });
  document.addEventListener("keydown", onKey);
}

function start() {
  startTheme();
  loadDecisions();
  fillFilters();
  listen();
  listenToDecisions();
  find("tool").hidden = false;
  refresh();
  showTally();
  say("");
}

start();
