// Exports, imports and clears the decisions.
async function importFile(event) {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const found = take(fromFile(file.name, await file.text()));
    const stale = found.stale ? ` ${counted(found.stale)} left out: they saw another label than this report has.` : "";
    complain(stale && `${file.name}:${stale}`);
    refresh();
    showTally();
    say(`${counted(found.taken)} decisions imported.${stale}`);
  } catch (error) {
    complain(`${file.name}: ${error.message} Nothing was imported.`);
  }
  event.target.value = "";
}

// The first click asks for confirmation, the second one clears.
function clearAll() {
  const button = find("clear");
  const asked = button.dataset.asked === "yes";
  button.dataset.asked = asked ? "" : "yes";
  button.textContent = asked ? "Clear" : `Clear all ${counted(decisions.size)}?`;
  if (!asked) return;
  decisions.clear();
  saveSoon();
  refresh();
  showTally();
}

function forgetClear() {
  find("clear").dataset.asked = "";
  find("clear").textContent = "Clear";
}

function listenToDecisions() {
  const textsOf = (id) => (rowOf.has(id) ? partsOf(rowOf.get(id)) : TEXT_FIELDS.map(() => ""));
  find("export-csv").addEventListener("click", () => download(`decisions-${data.key}.csv`, "text/csv", toCsv(sortedRecords(), textsOf)));
  find("export-jsonl").addEventListener("click", () => download(`decisions-${data.key}.jsonl`, "application/x-ndjson", toJsonl(sortedRecords())));
  find("import").addEventListener("click", () => find("import-file").click());
  find("import-file").addEventListener("change", importFile);
  find("clear").addEventListener("click", clearAll);
  find("clear").addEventListener("blur", forgetClear);
  addEventListener("pagehide", saveNow);
  document.addEventListener("visibilitychange", saveNow);
  addEventListener("storage", (event) => {
    if (event.key !== KEPT) return;
    loadDecisions();
    refresh();
    showTally();
  });
  addEventListener("beforeunload", (event) => {
    if (!keeps && decisions.size) event.preventDefault();
  });
}
