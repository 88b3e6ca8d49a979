// The slices of a case: a slider over the profile of the heat, and small pictures.

import { element, room, state, update } from "./state.js";
import { pictureQuery } from "./pictures.js";

const SMALL = 12; // pictures

export class Strip {
  constructor(open) {
    this.open = open;
    this.slider = document.getElementById("slice");
    this.text = document.getElementById("slice-text");
    this.profile = document.getElementById("profile");
    this.box = document.getElementById("strip");
    this.bestButton = document.getElementById("best");
    this.slider.addEventListener("input", (event) => {
      const at = [...state.at];
      at[0] = Number(this.slider.value) + this.own.first;
      update({ at, direction: Math.sign(at[0] - state.at[0]) }, event);
    });
    this.bestButton.addEventListener("click", (event) => this.toBest(event));
    new ResizeObserver(() => this.own && this.drawProfile()).observe(this.profile);
  }

  toBest(event) {
    if (!this.own) return;
    update({ at: [this.own.first + this.own.best, ...state.at.slice(1)] }, event);
  }

  begin(facts, order) {
    this.facts = facts;
    this.own = facts.runs.find((own) => !own.error) ?? null;
    const depth = this.own?.planes[0]?.depth ?? 1;
    document.getElementById("slices").hidden = depth < 2;
    this.slider.max = depth - 1;
    this.drawProfile();
    this.fillStrip(depth, order);
    this.show();
  }

  show() {
    if (!this.own) return;
    const number = state.at[0] - this.own.first;
    this.slider.value = number;
    const mean = this.own.slices[number];
    const best = number === this.own.best ? " · best" : "";
    const depth = this.own.planes[0].depth;
    this.text.textContent = `slice ${number} of ${depth}${best}`;
    this.slider.setAttribute("aria-valuetext", this.text.textContent);
    this.text.title = mean === undefined ? "no heat on this slice" : `mean heat ${mean}`;
    for (const item of this.box.children) {
      if (item.dataset.slice) {
        item.classList.toggle("current", Number(item.dataset.slice) === number);
      }
    }
  }

  drawProfile() {
    const canvas = this.profile;
    const depth = this.own?.planes[0]?.depth ?? 1;
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    const drawing = canvas.getContext("2d");
    drawing.clearRect(0, 0, canvas.width, canvas.height);
    const means = Object.entries(this.own?.slices ?? {});
    const highest = Math.max(...means.map(([, mean]) => Math.abs(mean)), 1e-30);
    const wide = canvas.width / depth;
    drawing.fillStyle = getComputedStyle(canvas).color;
    for (const [number, mean] of means) {
      const high = Math.max(1, (Math.abs(mean) / highest) * canvas.height);
      drawing.fillRect(number * wide, canvas.height - high, Math.max(wide - 0.5, 1), high);
    }
  }

  // Slices of a volume, from the one with the highest heat down; of images the cases around.
  fillStrip(depth, order) {
    const pane = { ...state.panes[0], axis: 0 };
    const parts = [];
    if (depth > 1) {
      const numbers = Object.entries(this.own.slices)
        .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a))
        .slice(0, SMALL)
        .map(([number]) => Number(number))
        .sort((a, b) => a - b);
      for (const number of numbers) {
        const at = [number + this.own.first, state.at[1], state.at[2]];
        const query = pictureQuery(this.facts, pane, at);
        const item = this.small(query, `slice ${number}`, (event) =>
          update({ at: [at[0], state.at[1], state.at[2]] }, event),
        );
        item.dataset.slice = number;
        parts.push(item);
      }
    } else if (this.own) {
      const here = order.indexOf(state.case);
      const first = Math.max(0, Math.min(here - SMALL / 2, order.length - SMALL));
      for (const index of order.slice(first, first + SMALL)) {
        const query = pictureQuery(this.facts, pane, state.at);
        query.set("case", index);
        const id = room.table.ids[index];
        const item = this.small(query, id, (event) => this.open(index, event));
        item.dataset.case = index;
        item.classList.toggle("current", index === state.case);
        parts.push(item);
      }
    }
    this.box.replaceChildren(...parts);
    this.box.hidden = parts.length < 2;
    this.waiting = parts.length < 2 ? [] : parts.map((item) => item.querySelector("img"));
  }

  // The small pictures are fetched once the large ones are there: they come 0.2 s earlier so.
  fetch() {
    for (const image of this.waiting ?? []) image.src = image.dataset.address;
    this.waiting = [];
  }

  small(query, title, click) {
    const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.classList.add("broken"));
    image.dataset.address = `api/picture?${query}`;
    const button = element("button", { type: "button", title }, image, element("span", {}, title));
    button.addEventListener("click", click);
    return element("div", { className: "small", role: "listitem" }, button);
  }
}
