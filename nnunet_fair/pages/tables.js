// Every table of the page can be sorted by a column, and long ones filtered.

const collator = new Intl.Collator(undefined, { numeric: true });
const FILTER_FROM = 8; // rows

/** What a cell is sorted by: its first number, else its text; null for a dash. */
function cellValue(cell) {
  const text = cell.textContent.trim().replace(/−/g, "-");
  if (text === "" || text === "–") return null;
  if (text === "∞") return Infinity;
  const found = /^[<>(+]*\s*(-?[\d,]*\.?\d+)/.exec(text);
  return found ? Number(found[1].replace(/,/g, "")) : text;
}

/** Orders two values: numbers by size, texts by the alphabet, what is absent last either way. */
function inOrder(a, b, descending) {
  if (a === null || b === null) return (a === null) - (b === null);
  const difference = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return (descending ? -1 : 1) * (Number.isNaN(difference) ? 0 : difference);
}

/** Turns a heading into a button that sorts, and says so with aria-sort. */
function sortButton(heading, sort) {
  const button = element("button", { type: "button", class: "sort" }, ...heading.childNodes);
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort(descending);
    say(`Sorted by ${button.textContent.trim()}, ${descending ? "largest" : "smallest"} first.`);
  });
}

function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (heading.textContent.trim() === "") return;
    sortButton(heading, (descending) => {
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [row.cells[column] ? cellValue(row.cells[column]) : null, row]);
      const texts = column === 0 && rows.some(([value]) => typeof value === "string");
      const key = ([value, row]) => (texts ? row.cells[column].textContent.trim() : value);
      rows.sort((a, b) => inOrder(key(a), key(b), descending));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

function filterable(table) {
  const input = element("input", { type: "search", autocomplete: "off" });
  const label = element("label", { class: "filter" }, "Filter rows ", input);
  const rows = [...table.tBodies[0].rows];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    say(`${rows.filter((row) => !row.hidden).length} of ${rows.length} rows.`);
  });
  (table.closest(".scroll") || table).before(label);
}

/** Lets a keyboard scroll what is wider than the page. */
function scrollByKeyboard(box) {
  if (box.scrollWidth <= box.clientWidth || box.hasAttribute("tabindex")) return;
  const caption = box.querySelector("caption");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption === null ? "Table" : caption.textContent.trim());
}

for (const box of document.querySelectorAll(".scroll")) scrollByKeyboard(box);
for (const table of document.querySelectorAll("table")) {
  if (table.tHead === null || table.tHead.rows.length !== 1 || table.tBodies.length !== 1) continue;
  if (table.tBodies[0].rows.length > 1) sortable(table);
  if (table.tBodies[0].rows.length > FILTER_FROM) filterable(table);
}
