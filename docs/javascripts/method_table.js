// Makes each table in a .method-table sortable by its columns, and filterable by words and by what a method needs.
// Without JavaScript the table is shown as it is.

const NEEDS = { "": "any", labels: "labels only", votes: "votes", trusted: "trusted rows", unlabeled: "unlabeled rows" };

// The number that a cell begins with, or its text.
function valueOf(row, column) {
  const text = row.cells[column].textContent.trim().replace("~", "");
  return /^[-+]?\d/.test(text) ? parseFloat(text) : text.toLowerCase();
}

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const absent = (row) => Number(row.cells[column].textContent.trim() === "–"); // last in both directions
  const order = (first, second) => (first < second ? -1 : Number(first > second));
  const rows = [...body.rows].sort(
    (a, b) => absent(a) - absent(b) || direction * order(valueOf(a, column), valueOf(b, column)),
  );
  body.append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, place) =>
    cell.setAttribute("aria-sort", place !== column ? "none" : direction > 0 ? "ascending" : "descending"),
  );
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    button.addEventListener("click", () =>
      sortBy(table, column, cell.getAttribute("aria-sort") === "ascending" ? -1 : 1),
    );
    cell.append(button);
    cell.setAttribute("aria-sort", "none");
  });
}

function labelled(text, field) {
  const label = document.createElement("label");
  label.append(text, " ", field);
  return label;
}

function makeFilterable(box, table) {
  const words = Object.assign(document.createElement("input"), { type: "search", name: "words" });
  const needs = Object.assign(document.createElement("select"), { name: "needs" });
  needs.append(...Object.entries(NEEDS).map(([value, text]) => new Option(text, value)));
  const status = document.createElement("output");
  const rows = [...table.tBodies[0].rows];
  const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === "needs");
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word)) || !row.cells[column].textContent.includes(needs.value);
    });
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} methods`;
  };
  words.addEventListener("input", filter);
  needs.addEventListener("change", filter);
  const controls = document.createElement("div");
  controls.className = "method-table-controls";
  controls.append(labelled("Search", words), labelled("Uses", needs), status);
  box.before(controls);
  filter();
}

document.querySelectorAll(".method-table").forEach((box) => {
  const table = box.querySelector("table");
  makeFilterable(box, table);
  makeSortable(table);
});
