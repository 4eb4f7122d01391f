// The table rows of a page. All data is inserted as text, never as markup.
const FIRST = 320, MORE = 5000; // characters shown of a long text: at first, and after the first "more"
const SIDES = ["first text", "second text"];
const opened = new Map(); // row -> number of characters shown

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function meter(value) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "meter");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, width] of [["track", 100], ["wrong", 100 * value]]) {
    const bar = document.createElementNS(SVG, "rect");
    bar.setAttribute("class", name);
    bar.setAttribute("width", `${width}%`);
    bar.setAttribute("height", "3");
    svg.append(bar);
  }
  return svg;
}

// Marks a name in Arabic or Hebrew as one of its own direction, where no element can hold it: what follows stays behind it.
const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;
const isolated = (name) => (FROM_THE_RIGHT.test(name) ? `\u2068${name}\u2069` : name);
const namesFromTheRight = data.classes.filter((name) => FROM_THE_RIGHT.test(name));
const withNamesApart = (reason) => namesFromTheRight.reduce((text, name) => text.replaceAll(name, isolated(name)), reason);

const counted = (number) => number.toLocaleString("en-US");

// Formats a number in [0, 1] with two digits; never 0 or 1 unless it is exactly that.
function unit(value) {
  const shown = value.toFixed(2);
  if (value > 0 && shown === "0.00") return "<0.01";
  return value < 1 && shown === "1.00" ? ">0.99" : shown;
}

function rowElement(row, place) {
  const made = element("tr", { role: "row", tabindex: place === kept.current ? "0" : "-1", "data-row": row });
  made.append(
    element("td", { role: "cell", class: "score" }, element("span", {}, unit(data.wrongness[row])), meter(data.wrongness[row])),
    textCell(row),
    element("td", { role: "cell", class: "given", "data-label": "given" }, element("bdi", {}, data.classes[data.labels[row]])),
    suggestedCell(row),
    element("td", { role: "cell", class: "decide" }, ...decisionControls(row)),
  );
  mark(made, row);
  return made;
}

function suggestedCell(row) {
  const same = data.suggested[row] === data.labels[row];
  const name = element("bdi", {}, data.classes[data.suggested[row]]);
  const chance = element("small", {}, ` ${unit(data.probability[row])}`);
  return element("td", { role: "cell", class: same ? "same" : "other", "data-label": "suggested" }, name, chance);
}

function textCell(row) {
  const limit = opened.get(row) ?? FIRST;
  const parts = partsOf(row), shown = parts.map((text) => cut(text, limit));
  const boxes = parts.flatMap((text, side) => [
    parts.length > 1 ? element("p", { class: "side" }, SIDES[side]) : null,
    element("p", { class: limit > FIRST ? "text open" : "text", dir: "auto" }, shown[side], shown[side].length < text.length ? "…" : ""),
  ]);
  const reasons = data.reasons[row].map(([, reason]) => element("span", { class: "reason" }, element("bdi", {}, withNamesApart(reason))));
  const id = element("code", { class: "id", title: "id" }, element("bdi", {}, data.ids[row]));
  const more = moreControl(row, total(shown.map((text) => text.length))), short = parts.every((text) => text.length <= FIRST);
  const foot = element("p", { class: "foot" }, ...reasons, id, ...(short && more ? [" · ", more] : []));
  const long = short || !more ? null : element("p", { class: "more" }, more);
  return element("td", { role: "cell", class: "what" }, ...boxes, long, note(row), foot, opened.has(row) && hasDetails(row) ? details(row) : null);
}

// Returns the button that shows more of a row or closes it, or null if there is nothing more to show.
function moreControl(row, shown) {
  const there = total(partsOf(row).map((text) => text.length)), more = shown < there, close = !more && opened.has(row);
  if (!more && !close && !hasDetails(row)) return null;
  const whole = isCut(row) ? total(lengthsOf(row)) : there;
  const label = more ? `Show more: ${counted(shown)} of ${counted(whole)} characters` : close ? "Close" : "Details";
  return element("button", { type: "button", class: "link", click: () => (close ? shut(row) : open(row)) }, label);
}

const isCut = (row) => lengthsOf(row).some((length) => length > data.limit);

function note(row) {
  if (!isCut(row)) return null;
  const whole = lengthsOf(row).map(counted).join(" and ");
  return element("p", { class: "note" }, `This report holds the first ${counted(data.limit)} of ${whole} characters.`);
}

const hasDetails = (row) => data.losses !== null || (data.votes?.[row] ?? []).length > 0;

function details(row) {
  const votes = (data.votes?.[row] ?? []).map(([source, vote]) =>
    element("span", { class: "vote" }, element("bdi", {}, data.sources[source]), ": ", element("bdi", {}, data.classes[vote])));
  const loss = data.losses ? element("span", { class: "vote" }, `loss ${Number(data.losses[row].toPrecision(3))}`) : null;
  return element("p", { class: "details" }, ...votes, loss);
}

function open(row) {
  opened.set(row, opened.has(row) ? Infinity : MORE);
  renew(row);
}

function shut(row) {
  opened.delete(row);
  renew(row);
}

function decisionControls(row) {
  const id = data.ids[row];
  const button = (name, decision) => element("button", {
    type: "button", class: `choice ${decision}`, "data-decision": decision, click: () => choose(row, decisionOf(row)?.decision === decision ? null : decision),
  }, name);
  const classes = data.classes.map((name, k) => k === data.labels[row] ? null : element("option", { value: k, dir: "auto" }, cut(name, 60)));
  const target = element("select", {
    class: "target", "aria-label": `Class to change ${id} to`, change: (event) => choose(row, "change", Number(event.target.value)),
  }, ...classes);
  const group = element("div", { role: "group", class: "choices", "aria-label": `Decision on ${id}` },
    button("Keep", "keep"), button("Change", "change"), button("Drop", "drop"));
  return [group, element("label", { class: "to" }, "to ", target)];
}

// Shows the decision on a row in its existing element.
function mark(made, row) {
  const record = decisionOf(row);
  made.dataset.decided = record?.decision ?? "";
  for (const button of made.querySelectorAll(".choice")) {
    button.setAttribute("aria-pressed", String(button.dataset.decision === record?.decision));
  }
  const suggested = data.suggested[row] === data.labels[row] ? "" : data.suggested[row];
  made.querySelector(".target").value = record?.new_label ?? suggested;
}

const elementOf = (row) => document.querySelector(`#rows > [data-row="${row}"]`);

// Rebuilds one row and keeps the focus.
function renew(row) {
  const old = elementOf(row), within = old.contains(document.activeElement), onButton = document.activeElement !== old;
  const made = rowElement(row, onPage().indexOf(row));
  old.replaceWith(made);
  if (within) (onButton ? made.querySelector(".link") ?? made : made).focus();
}
