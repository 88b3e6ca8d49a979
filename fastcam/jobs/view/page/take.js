// Taking a view along: its address, its picture, the line of Python that draws the same.

import { addressOf, element, room, state } from "./state.js";
import { pictureQuery } from "./pictures.js";

const MOST = 2000; // cases in one address

export class TakeAlong {
  constructor({ facts, panes, table }) {
    this.facts = facts;
    this.panes = panes;
    this.table = table;
    this.box = document.getElementById("take");
  }

  build() {
    this.message = element("p", { className: "quiet", role: "status" });
    this.text = element("textarea", { readOnly: true, hidden: true, rows: 3 });
    this.text.setAttribute("aria-label", "Text to copy");
    this.size = element("input", { type: "number", min: 32, max: 8192, value: 1024 });
    this.size.setAttribute("aria-label", "Longer side of the picture in pixels");
    const button = (text, title, act) => {
      const control = element("button", { type: "button", title }, text);
      control.addEventListener("click", act);
      return control;
    };
    this.width = element("input", { type: "number", min: 30, max: 1000, value: 180 });
    this.width.setAttribute("aria-label", "Width on paper in mm");
    this.slices = element(
      "select", {},
      element("option", { value: "best" }, "best slice of each"),
      element("option", { value: "all" }, "every slice with heat"),
    );
    this.slices.setAttribute("aria-label", "Slices of the page");
    this.box.append(
      element(
        "div", { className: "row" },
        button("PNG", "The first picture as pixels", () => this.download()),
        this.size, element("span", {}, "px"),
      ),
      element(
        "div", { className: "row" },
        button("PDF", "The pictures for print, text as text", () => this.page("pdf")),
        button("SVG", "The pictures for print, text as text", () => this.page("svg")),
        this.width, element("span", {}, "mm"),
      ),
      element(
        "div", { className: "row" },
        button("Link", "The address of this view", () => {
          history.replaceState(null, "", addressOf());
          this.copy(location.href, "The address of this view");
        }),
        button("Python", "The line that draws the same", () =>
          this.copy(this.python(), "The line that draws the same"),
        ),
      ),
      element("p", { className: "quiet" }, "All cases in the table:"),
      element(
        "div", { className: "row" },
        button("List", "Names, a line each, for --patient @file", () => this.list()),
        button("Report", "PDF, a case a page", () => this.chosen("report")),
        button("Command", "Draws them as figures, with a page", () =>
          this.copy(this.command(), "The command, with the list as cases.txt"),
        ),
      ),
      element(
        "div", { className: "row" },
        button("Page", "A folder with figures and a page over them, as a ZIP file", () =>
          this.chosen("folder"),
        ),
        this.slices,
      ),
      this.text,
      this.message,
    );
  }

  page(format) {
    if (!this.facts()) return;
    const fields = new URLSearchParams({ format, width: this.width.value });
    for (const pane of this.panes()) {
      const { kind, other, axis } = pane.spec;
      fields.append("picture", pictureQuery(this.facts(), pane.spec, state.at));
      if (kind === "swipe" && other) {
        const query = pictureQuery(this.facts(), { ...other, kind: "overlay", axis }, state.at);
        fields.append("picture", query);
      }
    }
    this.follow(`api/page?${fields}`);
  }

  // Of all cases in the table, in its order.
  chosen(what) {
    if (!this.facts()) return;
    if (this.table.order.length > MOST) {
      this.message.textContent = `${this.table.order.length} cases: filter the table to ${MOST} at most.`;
      this.message.className = "wrong";
      return;
    }
    const query = this.query();
    query.set("cases", this.table.order.join(","));
    if (what === "folder") query.set("slices", this.slices.value);
    this.follow(`api/${what}?${query}`);
  }

  list() {
    const names = this.table.order.map((index) => room.table.ids[index]);
    const blob = new Blob([`${names.join("\n")}\n`], { type: "text/plain" });
    const address = URL.createObjectURL(blob);
    element("a", { href: address, download: "cases.txt" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  command() {
    const run = room.runs[state.panes[0].run];
    const words = ["fastcam", "render", run.path, "--patient", "@cases.txt"];
    for (const [name, value] of Object.entries(run.sources)) {
      words.push(`--${name.replace("_", "-")}`, value);
    }
    words.push("--colormap", state.look.colormap, "--heat-alpha", state.look.alpha);
    words.push("--blend", state.look.blend, "--scale", state.look.scale);
    words.push("--output-dir", "chosen");
    return words.map(shellWord).join(" ");
  }

  // A file of the server; what goes wrong is said here instead of on a page of its own.
  async follow(address) {
    this.message.textContent = "drawing …";
    this.message.className = "quiet";
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error((await answer.json()).error);
      const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1];
      const file = URL.createObjectURL(await answer.blob());
      element("a", { href: file, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(file), 10000);
      this.message.textContent = `${name} is saved.`;
    } catch (error) {
      this.message.textContent = error.message;
      this.message.className = "wrong";
    }
  }

  query() {
    const pane = this.panes()[0].spec;
    return pictureQuery(this.facts(), pane, state.at);
  }

  download() {
    if (!this.facts()) return;
    const query = this.query();
    query.set("size", this.size.value);
    query.set("file", "1");
    this.follow(`api/picture?${query}`);
  }

  python() {
    const pane = state.panes[0];
    const run = room.runs[pane.run];
    const query = this.query();
    const fields = [JSON.stringify(run.path), JSON.stringify(this.facts().id)];
    fields.push(`slice=${query.get("slice")}`);
    if (pane.kind !== "overlay") fields.push(`panel=${JSON.stringify(pane.kind)}`);
    if (pane.map) fields.push(`map=${JSON.stringify(run.maps[pane.map].name)}`);
    if (pane.head !== null) fields.push(`head=${pane.head}`);
    if (pane.axis) fields.push(`axis=${pane.axis}`);
    const names = {
      colormap: "colormap", alpha: "heat_alpha", blend: "blend", scale: "scale", top: "top_k",
      size: "panel_size",
    };
    for (const [short, name] of Object.entries(names)) {
      const value = state.look[short];
      if (value !== room.usual_style[short]) fields.push(`${name}=${JSON.stringify(value)}`);
    }
    for (const name of ["window", "limits"]) {
      if (state.look[name]) fields.push(`${name}=(${state.look[name].join(", ")})`);
    }
    if (state.look.contour) fields.push("contour=True");
    for (const [name, value] of Object.entries(run.sources)) {
      fields.push(`${name}=${JSON.stringify(value)}`);
    }
    return `fastcam.picture(${fields.join(", ")})`;
  }

  async copy(text, what) {
    this.text.hidden = false;
    this.text.value = text;
    this.text.select();
    try {
      await navigator.clipboard.writeText(text);
      this.message.textContent = `${what} is copied.`;
    } catch {
      this.message.textContent = `${what}: copy it from here.`;
    }
  }
}

function shellWord(word) {
  const text = String(word);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
