// The form by which pictures change: color table, opacity, scale, window, boxes, outline, size.

import { element, room, state, update } from "./state.js";

const SCALES = [
  ["slice", "each slice"], ["patient", "the case"], ["cohort", "all cases"], ["rank", "ranks"],
];

export class LookForm {
  constructor(facts) {
    this.facts = facts; // of the case that is shown
    this.form = document.getElementById("look");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.fields = {};
  }

  begin() {
    this.slider("alpha", "Heat", 0, 1, 0.01, (x) => `${Math.round(x * 100)} %`);
    this.choice("colormap", "Colors", room.colormaps.map((name) => [name, name]));
    this.choice("blend", "Blend", [
      ["auto", "by the style"], ["flat", "same everywhere"], ["heat", "grows with heat"],
    ]);
    this.choice("scale", "Scale of", SCALES);
    this.pair("limits", "From – to", "heat at the ends of the color table");
    this.pair("window", "Gray window", "values shown black and white");
    this.slider("top", "Boxes", 0, 20, 1, String);
    this.check("contour", "Outline of the mask");
    this.check("link", "One scale for all pictures");
    this.choice("size", "Panel", [["256", "256 px"], ["512", "512 px"], ["1024", "1024 px"]]);
    const reset = element("button", { type: "button" }, "As at the start");
    reset.addEventListener("click", (event) => {
      update({ look: { ...room.style, limits: null, window: null, contour: false, link: false } }, event);
    });
    this.form.append(reset);
    this.show();
  }

  set(name, value, event) {
    update({ look: { ...state.look, [name]: value } }, event);
  }

  slider(name, title, min, max, step, text) {
    const input = element("input", { type: "range", min, max, step });
    const output = element("output");
    input.addEventListener("input", (event) => this.set(name, Number(input.value), event));
    this.add(name, title, element("span", { className: "slider" }, input, output), () => {
      input.value = state.look[name];
      output.textContent = text(state.look[name]);
    });
  }

  choice(name, title, options) {
    const select = element(
      "select", {}, ...options.map(([value, text]) => element("option", { value }, text)),
    );
    select.addEventListener("change", (event) =>
      this.set(name, name === "size" ? Number(select.value) : select.value, event),
    );
    this.add(name, title, select, () => {
      const value = String(state.look[name]);
      if (![...select.options].some((option) => option.value === value)) {
        select.append(element("option", { value }, value));
      }
      select.value = value;
    });
  }

  check(name, title) {
    const input = element("input", { type: "checkbox" });
    input.addEventListener("change", (event) => this.set(name, input.checked, event));
    this.add(name, title, input, () => (input.checked = Boolean(state.look[name])));
  }

  pair(name, title, hint) {
    const inputs = [0, 1].map((side) => {
      const input = element("input", { type: "number", step: "any" });
      input.setAttribute("aria-label", `${title}, ${side ? "high" : "low"}`);
      input.addEventListener("change", (event) => {
        const ends = inputs.map((each, i) =>
          each.value === "" ? this.usual(name)?.[i] : Number(each.value),
        );
        if (inputs.every((each) => each.value === "")) this.set(name, null, event);
        else if (ends[0] < ends[1]) this.set(name, ends, event);
        input.setCustomValidity(ends[0] < ends[1] ? "" : "the first must be lower");
      });
      return input;
    });
    const box = element("span", { className: "range", title: hint }, inputs[0], "–", inputs[1]);
    this.add(name, title, box, () => {
      const usual = this.usual(name);
      inputs.forEach((input, side) => {
        input.value = state.look[name]?.[side] ?? "";
        input.placeholder = usual ? String(Number(usual[side].toPrecision(4))) : "";
        input.disabled = name === "window" && !usual;
      });
    });
  }

  usual(name) {
    const own = this.facts()?.runs[state.panes[0]?.run ?? 0];
    return name === "window" ? own?.window : this.limits;
  }

  add(name, title, control, show) {
    const label = element(
      control.tagName === "SPAN" && control.className === "range" ? "div" : "label",
      { className: "field" },
      element("span", {}, title),
      control,
    );
    this.fields[name] = show;
    this.form.append(label);
  }

  show() {
    for (const show of Object.values(this.fields)) show();
  }
}
