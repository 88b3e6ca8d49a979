// What the pointer does on a picture: crosshair, moving, gray window, ruler, regions.
// Each has a key, and works from the keyboard: Shift with arrows moves the crosshair, Enter clicks.

import { element, state, update } from "./state.js";

export const TOOLS = [
  ["cross", "Crosshair", "v", "M8 1v5M8 10v5M1 8h5M10 8h5"],
  ["pan", "Move", "h", "M8 1v14M1 8h14M6 3l2-2 2 2M6 13l2 2 2-2M3 6L1 8l2 2M13 6l2 2-2 2"],
  ["window", "Gray window", "w", "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12"],
  ["ruler", "Ruler", "m", "M1 11L11 1l4 4L5 15zM4 8l2 2M7 5l2 2"],
  ["box", "Box", "x", "M2 3.5h12v9H2z"],
  ["lasso", "Lasso", "l", "M8 2c4 0 6 2 6 4s-2 4-6 4-6-2-6-4 2-4 6-4zM5 10c-2 1-1 3 0 3s2-1 0-3"],
];
const SVG = "http://www.w3.org/2000/svg";
const ZOOM_STEP = 1.2;

export class Tools {
  constructor(onRegion) {
    this.onRegion = onRegion;
    this.ruler = null; // {pane, slice, points}
    this.draft = null; // a region that is being drawn
    this.region = null; // the region that goes with the next judgement
    this.drag = null;
    this.buttons = new Map();
  }

  fillToolbar(bar) {
    for (const [name, title, key, drawing] of TOOLS) {
      const button = element("button", { type: "button", title: `${title} (${key})` });
      button.append(icon(drawing));
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", title);
      button.addEventListener("click", (event) => update({ tool: name }, event));
      this.buttons.set(name, button);
      bar.append(button);
    }
    this.showTool();
  }

  showTool() {
    for (const [name, button] of this.buttons) {
      button.setAttribute("aria-checked", String(state.tool === name));
    }
    document.body.dataset.tool = state.tool;
  }

  attach(pane) {
    const stage = pane.stage;
    stage.addEventListener("pointerdown", (event) => this.press(pane, event));
    stage.addEventListener("pointermove", (event) => this.move(pane, event));
    stage.addEventListener("pointerup", (event) => this.release(pane, event));
    stage.addEventListener("pointercancel", () => (this.drag = null));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(pane, event), { passive: false });
    stage.addEventListener("dblclick", (event) => update({ zoom: 1, pan: [0, 0] }, event));
    this.touches = new Map();
  }

  toolOf(event) {
    if (event.button === 2) return "window";
    if (event.button === 1 || event.shiftKey) return "pan";
    return state.tool;
  }

  press(pane, event) {
    if (event.pointerType === "touch") {
      this.touches.set(event.pointerId, [event.clientX, event.clientY]);
      if (this.touches.size === 2) {
        this.drag = { tool: "pinch", pane, zoom: state.zoom, apart: this.apart() };
        return;
      }
    }
    if (!pane.plane) return;
    pane.stage.setPointerCapture(event.pointerId);
    pane.root.focus({ preventScroll: true });
    const tool = this.toolOf(event);
    const share = pane.shareAt(event.clientX, event.clientY);
    const own = pane.facts.runs[pane.spec.run];
    this.drag = {
      tool, pane, share, x: event.clientX, y: event.clientY, pan: state.pan,
      window: state.look.window ?? own.window,
    };
    if (tool === "cross" && share) this.cross(pane, share, event);
    if (["ruler", "box", "lasso"].includes(tool) && share) this.begin(tool, pane, share);
    event.preventDefault();
  }

  move(pane, event) {
    if (this.touches.has(event.pointerId)) {
      this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    }
    const share = pane.plane ? pane.shareAt(event.clientX, event.clientY) : null;
    const drag = this.drag;
    if (!drag) {
      pane.read(share);
      return;
    }
    const dx = event.clientX - drag.x;
    const dy = event.clientY - drag.y;
    if (drag.tool === "pinch") {
      update({ zoom: clamp(drag.zoom * (this.apart() / drag.apart), 0.2, 40) }, event);
    } else if (drag.tool === "pan") {
      update({ pan: [drag.pan[0] + dx / pane.width, drag.pan[1] + dy / pane.height] }, event);
    } else if (drag.tool === "window" && drag.window) {
      this.setWindow(drag.window, dx, dy, event);
    } else if (drag.tool === "cross" && share) {
      this.cross(pane, share, event);
    } else if (share) {
      this.extend(drag.tool, share);
    }
  }

  release(pane, event) {
    this.touches.delete(event.pointerId);
    const drag = this.drag;
    this.drag = null;
    if (drag && (drag.tool === "box" || drag.tool === "lasso")) this.finish();
  }

  apart() {
    const [[x1, y1], [x2, y2]] = [...this.touches.values(), [0, 0], [0, 0]];
    return Math.max(1, Math.hypot(x2 - x1, y2 - y1));
  }

  // As radiologists do: to the right wider, downwards brighter.
  setWindow([low, high], dx, dy, event) {
    const span = high - low;
    const wide = Math.max(span * Math.exp(dx / 200), Math.abs(span) * 1e-3);
    const center = (low + high) / 2 - (dy / 300) * span;
    const window = [center - wide / 2, center + wide / 2].map((x) => Number(x.toPrecision(4)));
    if (window[0] < window[1]) update({ look: { ...state.look, window } }, event);
  }

  wheel(pane, event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.zoomAt(pane, event.clientX, event.clientY, ZOOM_STEP ** -Math.sign(event.deltaY), event);
      return;
    }
    this.step(pane, Math.sign(event.deltaY), event);
  }

  // To another slice of the plane that a pane shows.
  step(pane, count, event) {
    const plane = pane.plane;
    if (!plane || !count) return;
    const first = plane.axis === 0 ? pane.facts.runs[pane.spec.run].first : 0;
    const at = [...state.at];
    at[plane.axis] = clamp(at[plane.axis] + count, first, first + plane.depth - 1);
    if (at[plane.axis] !== state.at[plane.axis]) update({ at, direction: Math.sign(count) }, event);
  }

  zoomAt(pane, x, y, factor, event) {
    const zoom = clamp(state.zoom * factor, 0.2, 40);
    const box = pane.stage.getBoundingClientRect();
    // The place under the pointer stays where it is.
    const frame = pane.frame.getBoundingClientRect();
    const share = [(x - frame.left) / frame.width, (y - frame.top) / frame.height];
    const grown = zoom / state.zoom;
    const [width, height] = [frame.width * grown, frame.height * grown];
    const pan = [
      (x - box.left - share[0] * width - (box.width - width) / 2) / width,
      (y - box.top - share[1] * height - (box.height - height) / 2) / height,
    ];
    update({ zoom, pan }, event);
  }

  zoom(pane, factor, event) {
    const box = pane.stage.getBoundingClientRect();
    this.zoomAt(pane, box.left + box.width / 2, box.top + box.height / 2, factor, event);
  }

  cross(pane, share, event) {
    update({ at: pane.voxelAt(share), crosshair: true }, event);
    pane.read(share);
  }

  nudge(pane, dx, dy, event) {
    const plane = pane.plane;
    if (!plane) return;
    const [x, y] = pane.shareOf(state.at);
    const share = [
      clamp(x + dx / plane.width, 0, 0.999999),
      clamp(y + dy / plane.height, 0, 0.999999),
    ];
    this.cross(pane, share, event);
    if (this.draft || this.ruler?.open) this.extend(state.tool, share);
  }

  // Enter: what a click at the crosshair does.
  click(pane) {
    const share = pane.shareOf(state.at);
    if (state.tool === "ruler") {
      if (this.ruler?.open) this.ruler.open = false;
      else {
        this.begin("ruler", pane, share);
        this.ruler.open = true;
      }
    } else if (state.tool === "box") {
      if (this.draft) this.finish();
      else this.begin("box", pane, share);
    } else if (state.tool === "lasso") {
      if (!this.draft) this.begin("lasso", pane, share);
      else if (near(this.draft.points[0], share) && this.draft.points.length > 3) this.finish();
      else this.draft.points.push(share);
    }
    pane.showMarks();
  }

  begin(tool, pane, share) {
    const shape = { pane: pane.number, axis: pane.spec.axis, slice: pane.sliceNumber() };
    if (tool === "ruler") this.ruler = { ...shape, points: [share, share] };
    else this.draft = { ...shape, kind: tool, points: [share, share] };
    this.current = pane;
    pane.showMarks();
  }

  extend(tool, share) {
    const shape = tool === "ruler" ? this.ruler : this.draft;
    if (!shape) return;
    if (tool === "lasso") {
      const last = shape.points[shape.points.length - 1];
      if (!near(last, share)) shape.points.push(share);
    } else {
      shape.points[1] = share;
    }
    this.current?.showMarks();
  }

  finish() {
    const draft = this.draft;
    this.draft = null;
    if (!draft) return;
    const [first, last] = [draft.points[0], draft.points[draft.points.length - 1]];
    const empty = draft.kind === "box" ? near(first, last) : draft.points.length < 4;
    this.region = empty ? null : draft;
    this.current?.showMarks();
    this.onRegion(this.region, this.current);
  }

  clear() {
    this.ruler = this.draft = this.region = null;
    this.onRegion(null, null);
  }

  // The shapes that a pane shows: (points, class, closed, text).
  shapes(pane) {
    const shapes = [];
    const here = (shape) =>
      shape && shape.axis === pane.spec.axis && shape.slice === pane.sliceNumber();
    if (here(this.ruler) && this.ruler.pane === pane.number) {
      const [a, b] = this.ruler.points;
      const length = pane.millimetres(a, b);
      const unit = pane.plane.spacing ? "mm" : "px";
      shapes.push({ points: [a, b], name: "ruler", text: `${length.toFixed(1)} ${unit}` });
    }
    for (const shape of [this.draft, this.region]) {
      if (!here(shape)) continue;
      let points = shape.points;
      if (shape.kind === "box") {
        const [[x1, y1], [x2, y2]] = points;
        points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
      }
      shapes.push({ points, name: "region", closed: true });
    }
    return shapes;
  }
}

function icon(drawing) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", drawing);
  svg.append(path);
  return svg;
}

function near([x1, y1], [x2, y2]) {
  return Math.hypot(x2 - x1, y2 - y1) < 0.004;
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
