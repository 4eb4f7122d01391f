// The rows that are shown, their order, and the current page.
const PAGE = 50;
const view = { search: "", label: "", suggested: "", reason: "", decision: "", sort: "wrongness", falling: true, page: 0 };
const kept = { order: [], current: 0 }; // matching rows in order; position of the focus on the page
const words = new Intl.Collator("en", { numeric: true });

// Returns the text of a row, or both texts if rows have two.
const partsOf = (row) => (data.pairs ? [data.texts[row], data.pairs[row]] : [data.texts[row]]);
const lengthsOf = (row) => (data.pairs ? [data.lengths[row], data.pairLengths[row]] : [data.lengths[row]]);
const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

const SORTS = {
  wrongness: { name: "wrongness", of: (row) => data.wrongness[row] },
  probability: { name: "probability", of: (row) => data.probability[row] },
  ...(data.losses ? { loss: { name: "loss", of: (row) => data.losses[row] } } : {}),
  text: { name: "length of text", of: (row) => total(lengthsOf(row)) },
  id: { name: "id", of: (row) => data.ids[row], words: true },
  label: { name: "given label", of: (row) => data.labels[row] },
  suggested: { name: "suggested label", of: (row) => data.suggested[row] },
  decision: { name: "decision", of: (row) => DECISIONS.indexOf(decisionOf(row)?.decision) },
};

let lowered = null; // texts for the search, in lower case; built at the first search
function haystack(row) {
  lowered ??= data.ids.map((id, at) => [id, ...partsOf(at)].join("\n").toLowerCase());
  return lowered[row];
}

function matches(row) {
  const decision = decisionOf(row)?.decision ?? "none";
  return (view.label === "" || data.labels[row] === Number(view.label))
    && (view.suggested === "" || data.suggested[row] === Number(view.suggested))
    && (view.reason === "" || data.reasons[row].some(([kind]) => kind === Number(view.reason)))
    && (view.decision === "" || decision === view.decision)
    && (view.search === "" || haystack(row).includes(view.search));
}

// Filters and sorts the rows. A decision on a row does not trigger this, so that no row moves during a review.
function arrange() {
  const { of, words: spelled } = SORTS[view.sort];
  const rows = data.ids.map((_, row) => row).filter(matches);
  const keys = rows.map((row) => [of(row), row]);
  const sign = view.falling ? -1 : 1;
  const compare = spelled ? words.compare : (a, b) => a - b;
  keys.sort(([a, first], [b, second]) => sign * compare(a, b) || first - second);
  kept.order = keys.map(([, row]) => row);
  view.page = 0;
  kept.current = 0;
}

const pages = () => Math.max(1, Math.ceil(kept.order.length / PAGE));
const onPage = () => kept.order.slice(view.page * PAGE, (view.page + 1) * PAGE);
const currentRow = () => onPage()[kept.current];
