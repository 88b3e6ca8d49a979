// One pane: a picture with its crosshair, ruler, scale bar, letters, color bar and readout.

import {
  element, getJson, nextMap, pictureShown, room, shortNumber, state, update,
} from "./state.js";
import { cachedPicture, loadPicture, pictureQuery, sliceOf } from "./pictures.js";

const SVG = "http://www.w3.org/2000/svg";
const KINDS = [
  ["overlay", "overlay"], ["image", "image"], ["heat", "heat"], ["mask", "mask"],
  ["difference", "difference"], ["swipe", "swipe"],
];
const AGAIN = 700; // ms until a picture whose scale is not known is asked for again
const SLOW = 1200; // ms after which is said what is waited for
const SCALING = "The scale of all cases is being computed; this is the case's own.";
const DRAWING = "The picture is being drawn; the first one after an installation takes a minute.";
const BAR_STEPS = [1, 2, 5, 10, 20, 50, 100, 200]; // mm

export class Pane {
  constructor(number, tools) {
    this.number = number;
    this.tools = tools;
    this.address = "";
    this.shown = 0; // sequence number of the picture that is shown
    this.sequence = 0;
    this.loading = false;
    this.next = null;
    this.place = null; // shares of the picture under the pointer
    this.build();
  }

  get spec() {
    return state.panes[this.number];
  }

  build() {
    this.head = element("header", { className: "pane-head" });
    this.caption = element("p", { className: "pane-caption" });
    this.canvas = element("canvas", { className: "picture" });
    this.under = element("canvas", { className: "picture under", hidden: true });
    this.marks = document.createElementNS(SVG, "svg");
    this.marks.setAttribute("class", "marks");
    this.letters = ["left", "right", "top", "bottom"].map((side) =>
      element("span", { className: `letter ${side}` }),
    );
    this.scaleBar = element("p", { className: "scale-bar" });
    this.error = element("p", { className: "pane-error", hidden: true });
    this.waiting = element("p", { className: "pane-waiting", hidden: true });
    this.waiting.setAttribute("role", "status");
    this.line = element("input", {
      type: "range", className: "swipe", min: 0, max: 1, step: 0.005, value: state.swipe,
    });
    this.line.setAttribute("aria-label", "Line between the two pictures");
    this.line.addEventListener("pointerdown", (event) => event.stopPropagation());
    this.line.addEventListener("input", (event) =>
      update({ swipe: Number(this.line.value) }, event),
    );
    this.edge = element("div", { className: "edge" });
    this.frame = element(
      "div", { className: "frame" }, this.under, this.canvas, this.edge, this.marks, this.line,
    );
    this.stage = element(
      "div", { className: "stage" }, this.frame, ...this.letters, this.scaleBar, this.error,
      this.waiting,
    );
    this.bar = element("canvas", { className: "bar", width: 256, height: 1 });
    this.low = element("span");
    this.high = element("span");
    this.barBox = element("span", { className: "bar-box" }, this.low, this.bar, this.high);
    this.readout = element("output", { className: "readout" });
    this.root = element(
      "section",
      { className: "pane", tabIndex: 0 },
      this.head,
      this.caption,
      this.stage,
      element("footer", {}, this.barBox, this.readout),
    );
    this.root.setAttribute("aria-label", `Picture ${this.number + 1}`);
    this.tools.attach(this);
  }

  // The head: which run, map, panel and plane.
  showHead(facts) {
    const spec = this.spec;
    const run = room.runs[spec.run];
    const own = facts.runs[spec.run];
    const parts = this.mapChoices(spec, "");
    const several = room.runs.length > 1 || run.maps.length > 1 || run.maps[0].heads > 1;
    const kinds = KINDS.filter(([kind]) => {
      if (kind === "mask") return own.mask && run.kind === "patches";
      return several || (kind !== "difference" && kind !== "swipe");
    });
    parts.push(this.choice("Panel", kinds, spec.kind, (kind) => {
      const compared = kind === "difference" || kind === "swipe";
      return { kind, other: compared ? (spec.other ?? nextMap(spec)) : undefined };
    }));
    if (spec.other) {
      const change = (changes) => (value) => ({ other: { ...spec.other, ...changes(value) } });
      const word = spec.kind === "swipe" ? "and" : "less";
      parts.push(element("span", { className: "word" }, word));
      parts.push(...this.mapChoices(spec.other, "Other ", change));
    }
    const planes = Object.values(own.planes ?? {});
    if (planes.length > 1) {
      const options = planes.map((plane) => [plane.axis, plane.name]);
      parts.push(this.choice("Plane", options, spec.axis, (axis) => ({ axis: Number(axis) })));
    }
    if (state.panes.length > 1) {
      const close = element("button", { type: "button", className: "close", title: "Close" }, "×");
      close.setAttribute("aria-label", `Close picture ${this.number + 1}`);
      close.addEventListener("click", (event) => {
        update({ panes: state.panes.filter((_, number) => number !== this.number) }, event);
      });
      parts.push(close);
    }
    this.head.replaceChildren(...parts);
  }

  mapChoices(spec, prefix, change = (changes) => changes) {
    const run = room.runs[spec.run];
    const parts = [];
    if (room.runs.length > 1) {
      const options = room.runs.map((each, number) => [number, each.name]);
      parts.push(this.choice(`${prefix}Run`, options, spec.run, change((value) => ({
        run: Number(value),
        map: Math.min(spec.map, room.runs[Number(value)].maps.length - 1),
        head: null,
      }))));
    }
    if (run.maps.length > 1) {
      const options = run.maps.map((each, number) => [number, each.name]);
      parts.push(this.choice(`${prefix}Map`, options, spec.map, change((value) => ({
        map: Number(value), head: null,
      }))));
    }
    const heads = run.maps[spec.map]?.heads ?? 0;
    if (heads) {
      const options = [["mean", "mean of heads"]];
      for (let head = 0; head < heads; head++) options.push([head, `head ${head}`]);
      parts.push(this.choice(`${prefix}Head`, options, spec.head ?? "mean", change((value) => ({
        head: value === "mean" ? null : Number(value),
      }))));
    }
    return parts;
  }

  choice(label, options, value, changes) {
    const shown = options.find(([key]) => String(key) === String(value))?.[1] ?? "";
    const select = element(
      "select",
      { title: `${label}: ${shown}` },
      ...options.map(([key, text]) => element("option", { value: key }, text)),
    );
    select.setAttribute("aria-label", label);
    select.value = String(value);
    select.addEventListener("change", (event) => {
      const panes = state.panes.map((pane, number) =>
        number === this.number ? { ...pane, ...changes(select.value) } : pane,
      );
      update({ panes }, event);
    });
    return select;
  }

  // Geometry: the picture is as large as fits, in millimetres where these are known.
  layOut(facts) {
    const own = facts.runs[this.spec.run];
    const plane = own.planes?.[this.spec.axis];
    this.plane = plane;
    if (!plane) return;
    const [down, across] = plane.spacing ?? [1, 1];
    const wide = plane.width * across;
    const high = plane.height * down;
    const box = this.stage.getBoundingClientRect();
    const scale = Math.min(box.width / wide, box.height / high) * state.zoom;
    this.width = wide * scale;
    this.height = high * scale;
    const x = (box.width - this.width) / 2 + state.pan[0] * this.width;
    const y = (box.height - this.height) / 2 + state.pan[1] * this.height;
    const style = this.frame.style;
    style.width = `${this.width}px`;
    style.height = `${this.height}px`;
    style.transform = `translate(${x}px, ${y}px)`;
    this.frame.classList.toggle("pixels", this.width / this.canvas.width > 2.5);
    this.letters.forEach((letter, side) => (letter.textContent = plane.letters[side]));
    this.showScaleBar(plane.spacing ? scale : 0);
    this.showMarks();
  }

  showScaleBar(pixels) {
    const bar = this.scaleBar;
    bar.hidden = !pixels;
    if (!pixels) return;
    const length = BAR_STEPS.filter((step) => step * pixels < 140).pop() ?? 1;
    bar.style.width = `${length * pixels}px`;
    bar.textContent = `${length} mm`;
  }

  // The share of the picture at a point of the screen.
  shareAt(x, y) {
    const box = this.frame.getBoundingClientRect();
    const share = [(x - box.left) / box.width, (y - box.top) / box.height];
    return share.every((part) => part >= 0 && part < 1) ? share : null;
  }

  voxelAt([across, down]) {
    const plane = this.plane;
    const voxel = [...state.at];
    let x = Math.floor(across * plane.width);
    let y = Math.floor(down * plane.height);
    if (plane.flip_columns) x = plane.width - 1 - x;
    if (plane.flip_rows) y = plane.height - 1 - y;
    voxel[plane.across] = x;
    voxel[plane.down] = y;
    return voxel;
  }

  shareOf(voxel) {
    const plane = this.plane;
    let x = voxel[plane.across];
    let y = voxel[plane.down];
    if (plane.flip_columns) x = plane.width - 1 - x;
    if (plane.flip_rows) y = plane.height - 1 - y;
    return [(x + 0.5) / plane.width, (y + 0.5) / plane.height];
  }

  millimetres([x1, y1], [x2, y2]) {
    const plane = this.plane;
    const [down, across] = plane.spacing ?? [1, 1];
    return Math.hypot((x2 - x1) * plane.width * across, (y2 - y1) * plane.height * down);
  }

  showMarks() {
    const svg = this.marks;
    const plane = this.plane;
    svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const parts = [];
    const line = (x1, y1, x2, y2, name) => {
      const shape = document.createElementNS(SVG, "line");
      const ends = { x1, y1, x2, y2 };
      for (const [key, value] of Object.entries(ends)) shape.setAttribute(key, value);
      shape.setAttribute("class", name);
      parts.push(shape);
    };
    const path = (points, name, closed) => {
      const shape = document.createElementNS(SVG, closed ? "polygon" : "polyline");
      const text = points.map(([x, y]) => `${x * this.width},${y * this.height}`).join(" ");
      shape.setAttribute("points", text);
      shape.setAttribute("class", name);
      parts.push(shape);
    };
    if (state.crosshair && !plane.cropped) {
      const [x, y] = this.shareOf(state.at);
      const gap = 10;
      const [px, py] = [x * this.width, y * this.height];
      line(0, py, px - gap, py, "cross");
      line(px + gap, py, this.width, py, "cross");
      line(px, 0, px, py - gap, "cross");
      line(px, py + gap, px, this.height, "cross");
    }
    for (const { points, name, closed, text } of this.tools.shapes(this)) {
      path(points, name, closed);
      if (text) {
        const label = document.createElementNS(SVG, "text");
        const [x, y] = points[points.length - 1];
        label.setAttribute("x", x * this.width + 8);
        label.setAttribute("y", y * this.height - 8);
        label.setAttribute("class", "measure");
        label.textContent = text;
        parts.push(label);
      }
    }
    svg.replaceChildren(...parts);
  }

  // Pictures: the newest wish wins, those in between are skipped.
  show(facts) {
    this.facts = facts;
    const own = facts.runs[this.spec.run];
    if (own.error) {
      this.fail(own.error);
      this.head.replaceChildren(...this.head.children);
      return;
    }
    if (!own.planes[this.spec.axis]) {
      this.fail("this plane can't be shown of this case");
      return;
    }
    const address = `api/picture?${pictureQuery(facts, this.spec, state.at)}`;
    this.layOut(facts);
    this.showUnder(facts);
    if (address === this.address && this.error.hidden) return;
    this.address = address;
    const sequence = ++this.sequence;
    const cached = cachedPicture(address);
    if (cached) {
      this.draw(cached, sequence);
      return;
    }
    this.next = { address, sequence };
    if (!this.loading) this.load();
  }

  // The other picture of a swipe lies below; the line between the two can be dragged.
  async showUnder(facts) {
    const { other, kind, axis } = this.spec;
    const swipe = kind === "swipe" && other;
    this.under.hidden = !swipe;
    this.line.hidden = !swipe;
    this.edge.hidden = !swipe;
    this.canvas.style.clipPath = swipe ? `inset(0 ${(1 - state.swipe) * 100}% 0 0)` : "";
    if (!swipe) this.underNotes = [];
    if (!swipe) return;
    this.edge.style.left = `${state.swipe * 100}%`;
    this.line.value = state.swipe;
    const ticket = (this.underTicket = (this.underTicket ?? 0) + 1);
    const own = facts.runs[other.run];
    if (own.error || !own.planes[axis]) return;
    const query = pictureQuery(facts, { ...other, kind: "overlay", axis }, state.at);
    const picture = await loadPicture(`api/picture?${query}`).catch(() => null);
    if (!picture || ticket !== this.underTicket) return;
    this.underNotes = picture.notes;
    this.showCaption();
    this.under.width = picture.bitmap.width;
    this.under.height = picture.bitmap.height;
    this.under.getContext("2d").drawImage(picture.bitmap, 0, 0);
    this.root.dataset.under = query;
  }

  async load() {
    this.loading = true;
    while (this.next) {
      const { address, sequence } = this.next;
      this.next = null;
      const slow = setTimeout(() => this.say(DRAWING), SLOW);
      try {
        const picture = await loadPicture(address);
        if (sequence > this.shown) this.draw(picture, sequence);
      } catch (error) {
        if (sequence === this.sequence) this.fail(error.message);
      } finally {
        clearTimeout(slow);
      }
    }
    this.loading = false;
  }

  draw({ bitmap, limits, ends, colors, unit, caption, notes, provisional }, sequence) {
    this.shown = sequence;
    this.wait(provisional, sequence);
    this.error.hidden = true;
    this.canvas.hidden = false;
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.showBar(limits, ends, colors, unit);
    this.said = { caption, notes };
    this.showCaption();
    if (sequence === this.sequence) {
      this.root.dataset.address = this.address;
      pictureShown();
    }
  }

  // The scale of all cases is being found: the case's own stands in for it until then.
  wait(provisional, sequence) {
    this.say(provisional ? SCALING : "");
    clearTimeout(this.again);
    if (!provisional) return;
    this.again = setTimeout(() => {
      if (sequence !== this.sequence || this.loading || !this.root.isConnected) return;
      this.sequence += 1;
      this.next = { address: this.address, sequence: this.sequence };
      this.load();
    }, AGAIN);
  }

  // What is waited for, below the picture; nothing hides it.
  say(text) {
    this.waiting.textContent = text;
    this.waiting.hidden = !text;
  }

  fail(text) {
    this.address = "";
    this.say("");
    this.canvas.hidden = true;
    this.error.hidden = false;
    this.error.textContent = text;
    this.barBox.hidden = true;
    this.said = { caption: "", notes: [] };
    this.showCaption();
    pictureShown();
  }

  // What the figure of the picture says of it: first what has to be known, then what it is.
  showCaption() {
    const { caption, notes } = this.said ?? { caption: "", notes: [] };
    const all = [...new Set([...notes, ...(this.underNotes ?? [])])].join(" ");
    const said = all ? [element("strong", {}, all), " "] : [];
    this.caption.replaceChildren(...said, caption);
    this.caption.title = this.caption.textContent;
  }

  showBar(limits, ends, colors, unit) {
    this.limits = limits;
    this.barBox.hidden = !limits;
    if (!limits) return;
    const table = room.tables[colors];
    if (this.barTable !== table) {
      this.barTable = table;
      this.bar.getContext("2d").putImageData(new ImageData(table, 256, 1), 0, 0);
    }
    this.low.textContent = ends[0];
    this.high.textContent = [ends[1], unit].filter(Boolean).join(" ");
    this.unit = unit;
  }

  // What lies under the pointer or the crosshair.
  async read(share) {
    this.place = share;
    if (!share || this.reading || !this.facts) return;
    this.reading = true;
    while (this.place) {
      const [x, y] = this.place;
      this.place = null;
      const query = pictureQuery(this.facts, this.spec, state.at);
      query.set("x", Math.min(x, 0.999999));
      query.set("y", Math.min(y, 0.999999));
      try {
        this.showReading(await getJson(`api/reading?${query}`));
      } catch (error) {
        this.readout.textContent = error.message;
      }
    }
    this.reading = false;
  }

  showReading(reading) {
    const parts = [];
    if (reading.voxel) {
      const [z, y, x] = reading.voxel;
      parts.push(`x ${x} y ${y} z ${z}`);
    }
    if (reading.image?.length) parts.push(`image ${reading.image.map(shortNumber).join(" ")}`);
    if (reading.heat !== null) {
      parts.push(["heat", shortNumber(reading.heat), this.unit].filter(Boolean).join(" "));
    }
    if (reading.position) {
      const [right, front, up] = reading.position;
      const letters = [right < 0 ? "L" : "R", front < 0 ? "P" : "A", up < 0 ? "I" : "S"];
      parts.push(
        reading.position.map((mm, i) => `${letters[i]} ${Math.abs(mm).toFixed(1)}`).join(" ") +
          " mm",
      );
    }
    this.readout.textContent = parts.join("   ");
    this.readout.dataset.reading = JSON.stringify(reading);
  }

  sliceNumber() {
    return sliceOf(this.facts.runs[this.spec.run], this.spec.axis, state.at);
  }
}
