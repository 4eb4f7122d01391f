const data = JSON.parse(document.getElementById("audit-data").textContent);

// Writes and reads decisions as CSV and JSON lines. A record is
// {id, label, label_name, decision, new_label, new_label_name}; new_label is null unless the decision is "change".
const FIELDS = ["id", "label", "label_name", "decision", "new_label", "new_label_name"];
const TEXT_FIELDS = data.pairs ? ["text", "text_pair"] : ["text"]; // for information only
const DECISIONS = ["keep", "change", "drop"];
const READABLE = 500; // maximum characters of a text in a CSV, where the text is for information only

// A spreadsheet runs a cell that starts like a formula, unless an apostrophe comes first. So an apostrophe is inserted
// before such a start. This is also done after characters that another spreadsheet may read as the end of a cell.
// Reading removes the same apostrophes.
const SIGN = "[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20]";
const RUNS = new RegExp(`(^|[;|,\\t\\r\\n])(?=['" ]*${SIGN})`, "g");
const STOPPED = new RegExp(`(^|[;|,\\t\\r\\n])'(?=['" ]*${SIGN})`, "g");
const neutral = (value) => value.replace(RUNS, "$1'");
const original = (value) => value.replace(STOPPED, "$1");
const quoted = (value) => '"' + value.replaceAll('"', '""') + '"';
const readable = (text) => neutral(cut(text.replace(/\s+/g, " "), READABLE));

// Returns the beginning of a text, without splitting a surrogate pair.
function cut(text, length) {
  if (text.length <= length) return text;
  const half = text.charCodeAt(length - 1) >= 0xd800 && text.charCodeAt(length - 1) <= 0xdbff;
  return text.slice(0, half ? length - 1 : length);
}

function toCsv(records, textsOf) {
  const cells = records.map((record) => [
    ...FIELDS.map((field) => neutral(record[field] === null ? "" : String(record[field]))),
    ...textsOf(record.id).map(readable),
  ]);
  const lines = [[...FIELDS, ...TEXT_FIELDS], ...cells].map((row) => row.map(quoted).join(","));
  return "\ufeff" + lines.join("\r\n") + "\r\n"; // the byte order mark tells a spreadsheet that this is UTF-8
}

const toJsonl = (records) => records.map((record) => JSON.stringify(record) + "\n").join("");

function fromFile(name, text) {
  const csv = name.toLowerCase().endsWith(".csv");
  return (csv ? fromCsv(text) : fromJsonl(text)).map(checked);
}

function fromJsonl(text) {
  const lines = text.split("\n").map((line, number) => [line.trim(), number + 1]);
  return lines.filter(([line]) => line).map(([line, number]) => {
    try {
      return [JSON.parse(line), `line ${number}`];
    } catch {
      throw new Error(`line ${number} is not JSON. Expected decisions as this page exports them.`);
    }
  });
}

function fromCsv(text) {
  const [header, ...rows] = cellsOf(text.replace(/^\ufeff/, ""));
  const missing = FIELDS.filter((field) => !(header ?? []).includes(field));
  if (missing.length) throw new Error(`no column ${missing.join(", ")}. Expected decisions as this page exports them.`);
  return rows.filter((row) => row.length > 1).map((row, number) => {
    const cell = Object.fromEntries(header.map((name, column) => [name, original(row[column] ?? "")]));
    const whole = (value) => (/^\d+$/.test(value) ? Number(value) : value === "" ? null : value);
    const record = { ...cell, label: whole(cell.label), new_label: whole(cell.new_label) };
    return [{ ...record, new_label_name: cell.new_label === "" ? null : cell.new_label_name }, `row ${number + 2}`];
  });
}

// Returns the cells of a CSV. Quoted cells may contain commas, quotes and line breaks.
function cellsOf(text) {
  const separator = /^[^\n]*;/.test(text) && !/^[^\n]*,/.test(text) ? ";" : ",";
  const rows = [[]];
  let cell = "", inside = false;
  const endCell = () => { rows.at(-1).push(cell); cell = ""; };
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (inside && sign === '"' && text[at + 1] === '"') { cell += sign; at++; }
    else if (sign === '"') inside = !inside;
    else if (!inside && sign === separator) endCell();
    else if (!inside && sign === "\n") { endCell(); rows.push([]); }
    else if (inside || sign !== "\r") cell += sign;
  }
  if (cell || rows.at(-1).length) endCell(); else rows.pop();
  return rows;
}

// Returns the record, or throws an error unless this report has its classes and its decision is valid.
function checked([record, where]) {
  const isClass = (id, name) => Number.isInteger(id) && data.classes[id] === name;
  const known = record !== null && typeof record === "object" && typeof record.id === "string";
  if (!known || !DECISIONS.includes(record.decision)) {
    throw new Error(`${where} has no id and decision (keep, change, drop). Expected decisions as this page exports them.`);
  }
  if (!isClass(record.label, record.label_name)) throw new Error(`${where}: its label is no class of this report.`);
  const change = record.decision === "change";
  if (change && !isClass(record.new_label, record.new_label_name)) {
    throw new Error(`${where}: its new_label is no class of this report.`);
  }
  return recordOf(record.id, record.label, record.decision, change ? record.new_label : null);
}

const recordOf = (id, label, decision, changed) => ({
  id,
  label,
  label_name: data.classes[label],
  decision,
  new_label: changed,
  new_label_name: changed === null ? null : data.classes[changed],
});
