// Decisions by id, stored in localStorage under the report's key if the browser allows it.
const KEPT = `hf_noisy-audit:${data.key}`;
const rowOf = new Map(data.ids.map((id, row) => [id, row]));
const decisions = new Map();
let keeps = true; // whether the browser stores the decisions

function readStored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    keeps = false;
    return null;
  }
}

function writeStored(name, value) {
  try {
    localStorage.setItem(name, value);
    keeps = true;
  } catch {
    keeps = false;
  }
}

function loadDecisions() {
  const stored = readStored(KEPT);
  decisions.clear();
  try {
    for (const record of fromFile("stored.jsonl", stored ?? "")) decisions.set(record.id, record);
  } catch {
    decisions.clear(); // another program wrote under this key
  }
}

let pending = 0;
function saveSoon() {
  clearTimeout(pending);
  pending = setTimeout(saveNow, 200);
}

function saveNow() {
  if (!pending) return;
  clearTimeout(pending);
  pending = 0;
  writeStored(KEPT, toJsonl(sortedRecords()));
  showTally();
}

// Returns the decisions in the order of the table. Decisions on rows outside the table come last.
function sortedRecords() {
  const place = (record) => rowOf.get(record.id) ?? data.ids.length;
  return [...decisions.values()].sort((a, b) => place(a) - place(b));
}

const decisionOf = (row) => decisions.get(data.ids[row]) ?? null;

function decide(row, decision, changed = null) {
  const id = data.ids[row];
  if (decision === null) decisions.delete(id);
  else decisions.set(id, recordOf(id, data.labels[row], decision, changed));
  saveSoon();
}

// Imports the decisions of a file. Skips a decision if its row now has another label than when it was reviewed.
function take(records) {
  const found = { taken: 0, stale: 0, elsewhere: 0 };
  for (const record of records) {
    const row = rowOf.get(record.id);
    if (row !== undefined && data.labels[row] !== record.label) {
      found.stale++;
      continue;
    }
    found.taken++;
    if (row === undefined) found.elsewhere++;
    decisions.set(record.id, record);
  }
  saveSoon();
  return found;
}

function download(name, kind, text) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = element("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
