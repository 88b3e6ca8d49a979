"use strict";
// Filters by columns: of numbers from and to, of a few texts one of them, of others a part.
class ColumnFilters {
  constructor(box, columns, changed) {
    this.columns = new Map(columns.map((column) => [column.name, column]));
    this.fields = new Map();
    this.chosen = new Map();
    for (const column of columns) {
      const field = document.createElement("div");
      const name = document.createElement("span");
      name.textContent = column.name;
      field.className = "field";
      field.append(name, ...this.controls(column));
      box.append(field);
    }
    box.addEventListener("input", (event) => {
      event.stopPropagation();
      this.read();
      changed();
    });
  }

  controls(column) {
    const made = column.kind === "number" ? [this.input(column, "from", "number"), this.input(column, "to", "number")]
      : column.kind === "choice" ? [this.select(column)] : [this.input(column, "", "search")];
    this.fields.set(column.name, made);
    return made;
  }

  input(column, end, type) {
    const made = document.createElement("input");
    made.type = type;
    made.step = "any";
    made.placeholder = end;
    made.autocomplete = "off";
    made.ariaLabel = `${column.name} ${end}`.trim();
    return made;
  }

  select(column) {
    const made = document.createElement("select");
    made.ariaLabel = column.name;
    made.append(new Option("all", ""));
    const counts = new Map();
    for (const value of column.values) counts.set(value, (counts.get(value) ?? 0) + 1);
    const order = new Intl.Collator(undefined, { numeric: true });
    for (const value of [...counts.keys()].sort((a, b) => order.compare(a, b))) {
      if (value !== "") made.append(new Option(`${value} (${counts.get(value)})`, value));
    }
    return made;
  }

  read() {
    this.chosen.clear();
    for (const [name, fields] of this.fields) {
      const texts = fields.map((field) => field.value.trim());
      if (texts.every((text) => text === "")) continue;
      const isNumber = this.columns.get(name).kind === "number";
      this.chosen.set(name, isNumber ? texts.map((text) => (text === "" ? null : Number(text))) : texts[0]);
    }
  }

  get count() {
    return this.chosen.size;
  }

  // Whether the case of this number is wanted.
  accepts(number) {
    for (const [name, wanted] of this.chosen) {
      const { kind, values } = this.columns.get(name);
      const value = values[number];
      if (kind === "number") {
        if (value === null || (wanted[0] !== null && value < wanted[0]) || (wanted[1] !== null && value > wanted[1])) {
          return false;
        }
      } else if (kind === "choice" ? value !== wanted : !value.toLowerCase().includes(wanted.toLowerCase())) {
        return false;
      }
    }
    return true;
  }

  // As it stands in addresses.
  get text() {
    return this.chosen.size ? JSON.stringify(Object.fromEntries(this.chosen)) : "";
  }

  adopt(text) {
    let wanted = {};
    try {
      wanted = JSON.parse(text || "{}") ?? {};
    } catch {
      wanted = {}; // an address that was typed
    }
    for (const [name, fields] of this.fields) {
      const given = Object.hasOwn(wanted, name) ? [wanted[name]].flat() : [];
      fields.forEach((field, at) => (field.value = given[at] ?? ""));
    }
    this.read();
  }
}
