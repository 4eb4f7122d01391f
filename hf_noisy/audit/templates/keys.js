// Keyboard shortcuts, and the current row that they apply to.
function setCurrent(place, focus = true) {
  const rows = document.querySelectorAll("#rows > tr");
  rows[kept.current]?.setAttribute("tabindex", "-1");
  kept.current = Math.max(0, Math.min(place, rows.length - 1));
  const made = rows[kept.current];
  made?.setAttribute("tabindex", "0");
  if (focus) made?.focus();
}

function step(by) {
  const inTable = document.activeElement?.closest("#rows");
  const place = inTable ? kept.current + by : kept.current;
  if (place >= onPage().length && view.page + 1 < pages()) return turn(1, 0);
  if (place < 0 && view.page > 0) return turn(-1, PAGE - 1);
  setCurrent(place);
}

function turn(by, place = 0) {
  const page = view.page + by;
  if (page < 0 || page >= pages()) return;
  view.page = page;
  kept.current = place;
  showRows();
  setCurrent(place);
}

// Decides on the current row, then moves to the next row.
function byKey(decision, changed = null) {
  const row = currentRow();
  if (row === undefined) return;
  if (choose(row, decision, changed) && decision !== null) step(1);
}

function toggleOpen() {
  const row = currentRow();
  if (row === undefined) return;
  if (opened.has(row) && partsOf(row).every((text) => opened.get(row) >= text.length)) shut(row);
  else open(row);
}

const LETTERS = {
  j: () => step(1),
  k: () => step(-1),
  y: () => byKey("keep"),
  c: () => byKey("change"),
  d: () => byKey("drop"),
  u: () => byKey(null),
  o: toggleOpen,
  n: () => turn(1),
  p: () => turn(-1),
  "/": () => find("search").focus(),
};

function onDigit(digit) {
  const row = currentRow(), changed = Number(digit) - 1;
  if (row === undefined || changed < 0 || changed >= data.classes.length) return;
  if (changed === data.labels[row]) byKey("keep");
  else byKey("change", changed);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const at = document.activeElement, row = at?.closest("#rows > tr");
  if (event.key === "Escape" && at === find("search")) return leaveSearch(event);
  if (at?.matches("input:not([type=checkbox]), select, textarea")) return;
  const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (arrow && row) event.preventDefault(), step(arrow);
  else if (event.key === "Enter" && at === row && row) event.preventDefault(), toggleOpen();
  else if (find("letters").checked && LETTERS[event.key]) event.preventDefault(), LETTERS[event.key]();
  else if (find("letters").checked && /^[1-9]$/.test(event.key)) onDigit(event.key);
}

function leaveSearch(event) {
  event.preventDefault();
  setCurrent(kept.current);
}
