// The table of cases: sorted and filtered here, only the rows in sight are in the page.

import { columnStyle, columnWidths, headText } from "./columns.js";
import { element, room, shortNumber, state, update } from "./state.js";

const ROW = 26; // pixels
const NARROW = 4; // columns beside the id

export class CaseTable {
  constructor(open) {
    this.open = open;
    this.body = document.getElementById("table-body");
    this.head = document.getElementById("table-head");
    this.grid = document.getElementById("table");
    this.count = document.getElementById("count");
    this.order = [];
    this.wide = false;
    this.inner = element("div", { className: "inner" });
    this.body.append(this.inner);
    this.texts = [];
    this.columns = new Map();
    this.grid.addEventListener("scroll", () => this.showRows());
    new ResizeObserver(() => this.showRows()).observe(this.grid);
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.inner.addEventListener("click", (event) => {
      const row = event.target.closest("[data-case]");
      if (row) this.open(Number(row.dataset.case), event);
    });
    const search = document.getElementById("search");
    search.addEventListener("input", (event) => update({ search: search.value }, event));
    this.search = search;
    const widen = document.getElementById("widen");
    widen.addEventListener("click", () => {
      this.wide = !this.wide;
      widen.setAttribute("aria-pressed", String(this.wide));
      document.body.classList.toggle("wide-table", this.wide);
      this.showHead();
      this.fitColumns();
      this.showRows();
    });
  }

  begin() {
    const { ids, columns } = room.table;
    this.columns = new Map(columns.map((column) => [column.name, column]));
    const texts = columns.filter(({ kind }) => kind === "text" || kind === "choice");
    this.texts = ids.map((id, i) =>
      [id, ...texts.map((column) => column.values[i] ?? "")].join("\u0000").toLowerCase(),
    );
    this.fillFilters();
    this.search.value = state.search;
    this.refresh();
    this.fitColumns();
  }

  // The table is as wide as its columns, within what the page allows.
  fitColumns() {
    const widths = columnWidths({
      ids: room.table.ids,
      columns: this.shownColumns.map((column) => ({
        name: column.name, texts: column.values.map((value) => cellText(column, value)),
      })),
      cellFont: getComputedStyle(this.grid).font,
      headFont: getComputedStyle(this.head.querySelector("button")).font,
      wide: this.wide,
    });
    for (const [name, value] of Object.entries(columnStyle(widths))) {
      document.body.style.setProperty(name, value);
    }
  }

  get shownColumns() {
    const columns = room.table.columns;
    if (this.wide) return columns;
    const useful = columns.filter(({ name }) =>
      ["label", "prediction", "right", "confidence"].some((word) => name.startsWith(word)),
    );
    return (useful.length ? useful : columns).slice(0, NARROW);
  }

  fillFilters() {
    const box = document.getElementById("filter-fields");
    const fields = room.table.columns.map((column) => this.filterField(column));
    const clear = element("button", { type: "button" }, "Clear");
    clear.addEventListener("click", (event) => {
      this.search.value = "";
      update({ filters: {}, search: "" }, event);
      this.fillFilters();
    });
    box.replaceChildren(...fields.filter(Boolean), clear);
  }

  filterField(column) {
    const { name, kind } = column;
    const set = (value, event) => {
      const filters = { ...state.filters };
      if (value === null) delete filters[name];
      else filters[name] = value;
      update({ filters }, event);
    };
    const label = element("label", { className: "field" }, element("span", {}, name));
    const value = state.filters[name];
    if (kind === "verdict" || kind === "choice") {
      const options =
        kind === "verdict"
          ? [["true", "right"], ["false", "wrong"], ["null", "not known"]]
          : [...new Set(column.values)].sort(compareTexts).map((text) => [text, text || "(none)"]);
      const select = element(
        "select",
        {},
        element("option", { value: "*" }, "any"),
        ...options.map(([key, text]) => element("option", { value: `=${key}` }, text)),
      );
      select.value = value === undefined ? "*" : `=${value}`;
      select.addEventListener("change", (event) =>
        set(select.value === "*" ? null : select.value.slice(1), event),
      );
      label.append(select);
      return label;
    }
    if (kind === "number") {
      const numbers = column.values.filter((x) => x !== null);
      if (!numbers.length) return null;
      const inputs = [0, 1].map((side) => {
        const input = element("input", {
          type: "number", step: "any", value: value?.[side] ?? "",
          placeholder: shortNumber(extreme(numbers, side)),
        });
        input.setAttribute("aria-label", `${name}, ${side ? "at most" : "at least"}`);
        input.addEventListener("input", (event) => {
          const range = inputs.map((each) => (each.value === "" ? null : Number(each.value)));
          set(range.every((end) => end === null) ? null : range, event);
        });
        return input;
      });
      const group = element("div", { className: "field" }, element("span", {}, name));
      group.append(element("span", { className: "range" }, inputs[0], "–", inputs[1]));
      return group;
    }
    const input = element("input", { type: "search", value: value ?? "" });
    input.addEventListener("input", (event) => set(input.value || null, event));
    label.append(input);
    return label;
  }

  // The cases that the filters leave, in order. 10,000 take a few milliseconds.
  refresh() {
    const began = performance.now();
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = Object.entries(state.filters)
      .map(([name, value]) => testOf(this.columns.get(name), value))
      .filter(Boolean);
    const order = [];
    for (let i = 0; i < this.texts.length; i++) {
      const text = this.texts[i];
      if (words.every((word) => text.includes(word)) && tests.every((test) => test(i))) {
        order.push(i);
      }
    }
    const { column: name, down } = state.sort;
    const column = this.columns.get(name);
    if (column || name === "id") {
      const values = column ? column.values : room.table.ids;
      const compare = column?.kind === "number" ? compareNumbers : compareTexts;
      const sign = down ? -1 : 1;
      order.sort((a, b) => {
        const [x, y] = [values[a], values[b]];
        // What is not known comes last, whichever way.
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return sign * compare(x, y) || a - b;
      });
    }
    this.order = order;
    const all = this.texts.length;
    this.count.textContent =
      order.length === all ? `${all} cases` : `${order.length} of ${all} cases`;
    this.showHead();
    this.showRows();
    this.took = performance.now() - began;
    window.fastcamTableTime = this.took;
  }

  showHead() {
    const cells = [{ name: "id" }, ...this.shownColumns].map(({ name }) => {
      const sorted = state.sort.column === name;
      const button = element("button", { type: "button", title: `Sort by ${name}` }, headText(name));
      button.addEventListener("click", (event) =>
        update({ sort: { column: name, down: sorted && !state.sort.down } }, event),
      );
      const cell = element("span", { className: "cell" }, button);
      cell.setAttribute("role", "columnheader");
      const order = sorted ? (state.sort.down ? "descending" : "ascending") : "none";
      cell.setAttribute("aria-sort", order);
      return cell;
    });
    this.head.replaceChildren(...cells);
    this.grid.setAttribute("aria-rowcount", this.order.length);
  }

  showRows() {
    this.inner.style.height = `${this.order.length * ROW}px`;
    const top = Math.max(0, this.grid.scrollTop - this.head.offsetHeight);
    const first = Math.max(0, Math.floor(top / ROW) - 4);
    const last = Math.min(this.order.length, first + Math.ceil(this.grid.clientHeight / ROW) + 10);
    const rows = [];
    for (let at = first; at < last; at++) rows.push(this.row(at));
    this.inner.replaceChildren(...rows);
  }

  row(at) {
    const index = this.order[at];
    const cells = [element("span", { className: "cell id" }, room.table.ids[index])];
    for (const column of this.shownColumns) {
      const value = column.values[index];
      const cell = element("span", { className: `cell ${column.kind}` }, cellText(column, value));
      if (column.kind === "verdict") cell.classList.add(String(value));
      cells.push(cell);
    }
    for (const cell of cells) {
      cell.setAttribute("role", "gridcell");
      cell.title = cell.textContent;
    }
    const row = element("div", { className: "table-row", id: `case-${index}` }, ...cells);
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", at + 1);
    row.setAttribute("aria-selected", String(index === state.case));
    row.dataset.case = index;
    if (room.judged?.has(index)) row.classList.add("judged");
    row.style.top = `${at * ROW}px`;
    return row;
  }

  // Bring the case that is looked at into sight.
  follow() {
    const at = this.order.indexOf(state.case);
    this.grid.setAttribute("aria-activedescendant", `case-${state.case}`);
    if (at >= 0) {
      const top = at * ROW;
      const height = this.grid.clientHeight - this.head.offsetHeight;
      if (top < this.grid.scrollTop) this.grid.scrollTop = top;
      else if (top + ROW > this.grid.scrollTop + height) {
        this.grid.scrollTop = top + ROW - height;
      }
    }
    this.showRows();
  }

  neighbour(step, index = state.case) {
    const at = this.order.indexOf(index);
    const next = at < 0 ? 0 : at + step;
    return this.order[next];
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 };
    let index;
    if (event.key in steps) {
      const at = this.order.indexOf(state.case) + steps[event.key];
      index = this.order[Math.min(Math.max(at, 0), this.order.length - 1)];
    } else if (event.key === "Home") index = this.order[0];
    else if (event.key === "End") index = this.order[this.order.length - 1];
    if (index === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.open(index, event);
  }
}

function testOf(column, value) {
  if (!column) return null;
  const values = column.values;
  if (column.kind === "verdict") return (i) => String(values[i]) === value;
  if (column.kind === "choice") return (i) => values[i] === value;
  if (column.kind === "number") {
    const [low, high] = value;
    return (i) =>
      values[i] !== null &&
      (low === null || values[i] >= low) && (high === null || values[i] <= high);
  }
  const part = String(value).toLowerCase();
  return (i) => values[i].toLowerCase().includes(part);
}

function cellText({ name, kind }, value) {
  // As the header and figures write it.
  if (name.startsWith("confidence") && typeof value === "number") return value.toFixed(4);
  if (kind === "verdict") return value === null ? "" : value ? "✓" : "✗";
  if (kind === "number") return value === null ? "" : shortNumber(value);
  return value ?? "";
}

function compareNumbers(x, y) {
  return x - y;
}

const collator = new Intl.Collator(undefined, { numeric: true });

function compareTexts(x, y) {
  return typeof x === "string" ? collator.compare(x, y) : x - y;
}

function extreme(numbers, highest) {
  return numbers.reduce((a, b) => (highest ? Math.max(a, b) : Math.min(a, b)));
}
