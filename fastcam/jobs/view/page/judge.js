// Judgements: a mark, a note and a region. Each is on the disk before the page says so.

import { element, getJson, room, state } from "./state.js";
import { sliceOf } from "./pictures.js";

export class Judge {
  constructor({ tools, next, facts, changed }) {
    this.tools = tools;
    this.next = next;
    this.facts = facts;
    this.changed = changed;
    this.own = new Map(); // by case what this reader has said
    this.region = null;
    this.box = document.getElementById("judge");
  }

  async build() {
    this.reader = element("input", { type: "text", maxLength: 100 });
    this.reader.value = room.reader || stored("fastcam-reader") || "";
    this.reader.disabled = Boolean(room.reader);
    this.reader.addEventListener("change", () => {
      store("fastcam-reader", this.reader.value);
      this.load();
    });
    this.buttons = room.marks.map((mark, number) => {
      const button = element("button", { type: "button", title: `${mark} (${number + 1})` });
      const digit = element("kbd", {}, String(number + 1));
      if (mark !== String(number + 1)) button.append(digit, ` ${mark}`);
      else button.append(mark);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", (event) => this.mark(number, event));
      return button;
    });
    this.note = element("textarea", { rows: 2, placeholder: "Note (n)", maxLength: 10000 });
    this.note.setAttribute("aria-label", "Note");
    this.note.addEventListener("change", () => this.save());
    this.note.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.note.blur();
    });
    this.regionText = element("p", { className: "quiet" });
    this.advance = element("input", { type: "checkbox" });
    this.advance.checked = stored("fastcam-advance") === "yes";
    this.advance.addEventListener("change", () =>
      store("fastcam-advance", this.advance.checked ? "yes" : "no"),
    );
    this.message = element("p", { className: "quiet", role: "status" });
    const marks = element("div", { className: "marks-row", role: "group" }, ...this.buttons);
    marks.setAttribute("aria-label", "Mark");
    this.box.append(
      marks,
      this.note,
      this.regionText,
      element("label", { className: "field" }, element("span", {}, "Reader"), this.reader),
      element(
        "label", { className: "field" }, element("span", {}, "Next case after a mark"), this.advance,
      ),
      this.message,
    );
    await this.load();
  }

  async load() {
    const query = new URLSearchParams({ reader: this.reader.value });
    try {
      const judgements = await getJson(`api/judgements?${query}`);
      this.own = new Map(Object.entries(judgements).map(([key, value]) => [Number(key), value]));
    } catch (error) {
      this.fail(error);
    }
    room.judged = new Set(this.own.keys());
    this.begin(state.case);
    this.changed();
  }

  // A review goes on where it was left: at the first case without a mark.
  firstOpen(order) {
    if (!this.own.size) return undefined;
    return order.find((index) => !this.own.has(index));
  }

  begin(index) {
    if (!this.buttons) return;
    this.case = index;
    const own = this.own.get(index);
    this.note.value = own?.note ?? "";
    this.region = null;
    this.show();
    this.message.textContent = own ? `saved ${own.time.replace("T", " ").slice(0, 16)} UTC` : "";
    this.message.className = "quiet";
  }

  show() {
    const own = this.own.get(this.case);
    this.buttons.forEach((button, number) =>
      button.setAttribute("aria-pressed", String(own?.mark === room.marks[number])),
    );
    const region = this.region ? "a region goes with the next mark" : own?.region;
    this.regionText.textContent = region ? `Region: ${region}` : "";
    const count = this.own.size;
    document.getElementById("judge-title").textContent =
      count ? `Judgement · ${count} of ${room.table.ids.length} cases` : "Judgement";
  }

  setRegion(region) {
    this.region = region;
    if (this.buttons) this.show();
    const own = this.own.get(this.case);
    if (region && own) this.save(own.mark); // the case is marked already: the region is saved too
  }

  // The same mark again takes it back.
  async mark(number, event) {
    const mark = room.marks[number];
    if (mark === undefined) return;
    const own = this.own.get(this.case);
    const taken = own?.mark === mark;
    await this.save(taken ? "" : mark);
    if (!taken && this.advance.checked && !this.failed) this.next(event);
  }

  async save(mark = this.own.get(this.case)?.mark ?? "") {
    const facts = this.facts();
    if (!facts) return;
    const pane = state.panes[this.region?.pane ?? 0] ?? state.panes[0];
    const index = this.case;
    const content = {
      case: index,
      run: pane.run,
      map: pane.map,
      head: pane.head,
      axis: pane.axis,
      slice: sliceOf(facts.runs[pane.run], pane.axis, state.at),
      mark,
      note: this.note.value,
      reader: this.reader.value,
      region: this.region && { kind: this.region.kind, points: this.region.points },
    };
    this.message.textContent = "saving …";
    this.failed = false;
    try {
      const judgement = await getJson("api/judgement", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(content),
      });
      if (judgement.mark) this.own.set(index, judgement);
      else this.own.delete(index);
      room.judged = new Set(this.own.keys());
      if (index === this.case) {
        this.region = null;
        this.message.textContent = `saved in ${room.review}`;
        this.message.className = "quiet";
        this.show();
      }
      this.changed();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error) {
    this.failed = true;
    this.message.textContent = `NOT SAVED: ${error.message}`;
    this.message.className = "wrong";
  }

  focusNote() {
    document.body.classList.add("show-tools");
    this.note.focus();
  }
}

// The browser may forbid it, as in a frame of another page.
function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // then the next visit asks again
  }
}
