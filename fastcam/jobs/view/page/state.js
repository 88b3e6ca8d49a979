// What is looked at, and who is told when it changes. All of it goes into the page's address.

export const room = {};

export const state = {
  case: 0,
  at: [0, 0, 0], // the voxel (z, y, x) under the crosshair, in the file's own order
  panes: [],
  look: {},
  zoom: 1,
  pan: [0, 0], // shares of the picture that it is moved by
  tool: "cross",
  search: "",
  filters: {}, // by the name of a column
  sort: { column: "", down: false },
  swipe: 0.5, // where the line between two pictures is, as a share of the width
};

const listeners = new Set();

// The time of the input event that the next picture answers.
let inputTime = 0;
export const timings = [];
window.fastcamTimings = timings;

export function listen(listener) {
  listeners.add(listener);
}

export function update(changes, event) {
  if (event) inputTime = event.timeStamp;
  Object.assign(state, changes);
  for (const listener of listeners) listener(changes);
  if (room.runs) writeAddress();
}

export function pictureShown() {
  if (!inputTime) return;
  const began = inputTime;
  inputTime = 0;
  requestAnimationFrame(() => setTimeout(() => timings.push(performance.now() - began)));
}

export async function getJson(address, options) {
  const answer = await fetch(address, options).catch(() => {
    throw new Error("the server doesn't answer; start fastcam view again and open its new address");
  });
  const content = await answer.json().catch(() => ({ error: statusText(answer.status) }));
  if (!answer.ok) throw new Error(content.error ?? statusText(answer.status));
  return content;
}

// Answers to those who don't know the token have no text.
function statusText(status) {
  return status === 404 ? "this address is of an earlier fastcam view; open the new one" : `${status}`;
}

// Address: everything that differs from how the room opens.

let writing = 0;

function writeAddress() {
  if (writing) return;
  writing = setTimeout(() => {
    writing = 0;
    history.replaceState(null, "", addressOf());
  }, 150);
}

export function addressOf() {
  const fields = new URLSearchParams();
  fields.set("case", room.table.ids[state.case] ?? "");
  fields.set("at", state.at.join(","));
  fields.set("panes", state.panes.map(paneText).join("~"));
  for (const [name, value] of Object.entries(state.look)) {
    if (value !== room.style[name] && value !== null && value !== false) {
      fields.set(name, Array.isArray(value) ? value.join(",") : String(value));
    }
  }
  if (state.swipe !== 0.5) fields.set("swipe", state.swipe);
  if (state.zoom !== 1) fields.set("zoom", state.zoom.toFixed(3));
  if (state.pan.some(Boolean)) fields.set("pan", state.pan.map((x) => x.toFixed(4)).join(","));
  if (state.search) fields.set("search", state.search);
  if (Object.keys(state.filters).length) fields.set("filters", JSON.stringify(state.filters));
  if (state.sort.column) fields.set("sort", (state.sort.down ? "-" : "") + state.sort.column);
  return `#${fields}`;
}

function paneText(pane) {
  const fields = [pane.run, pane.map, pane.head ?? "mean", pane.kind, pane.axis];
  if (pane.other) fields.push(pane.other.run, pane.other.map, pane.other.head ?? "mean");
  return fields.join(".");
}

const NUMBERS = ["alpha", "top", "size"];

export function readAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const changes = { look: { ...state.look } };
  if (fields.has("case")) {
    const number = room.table.ids.indexOf(fields.get("case"));
    if (number >= 0) changes.case = number;
  }
  const at = numbersOf(fields.get("at"), 3);
  if (at) changes.at = at;
  const panes = (fields.get("panes") ?? "").split("~").map(paneOf).filter(Boolean);
  if (panes.length) changes.panes = panes;
  for (const name of Object.keys(state.look)) {
    if (!fields.has(name)) continue;
    const text = fields.get(name);
    if (name === "window" || name === "limits") changes.look[name] = numbersOf(text, 2);
    else if (name === "contour" || name === "link") changes.look[name] = text === "true";
    else if (NUMBERS.includes(name)) changes.look[name] = Number(text);
    else changes.look[name] = text;
  }
  const swipe = Number(fields.get("swipe") ?? 0.5);
  if (swipe >= 0 && swipe <= 1) changes.swipe = swipe;
  const zoom = Number(fields.get("zoom") ?? 1);
  if (zoom >= 0.2 && zoom <= 40) changes.zoom = zoom;
  changes.pan = numbersOf(fields.get("pan"), 2) ?? [0, 0];
  changes.search = fields.get("search") ?? "";
  try {
    changes.filters = JSON.parse(fields.get("filters") ?? "{}");
  } catch {
    changes.filters = {};
  }
  const sort = fields.get("sort") ?? "";
  changes.sort = { column: sort.replace(/^-/, ""), down: sort.startsWith("-") };
  Object.assign(state, changes);
  return fields.has("at");
}

function numbersOf(text, count) {
  const numbers = (text ?? "").split(",").map(Number);
  return text && numbers.length === count && numbers.every(Number.isFinite) ? numbers : null;
}

function paneOf(text) {
  const [run, map, head, kind, axis, ...other] = text.split(".");
  const pane = { ...mapOf(run, map, head), kind, axis: Number(axis) };
  const kinds = ["image", "mask", "heat", "overlay", "difference", "swipe"];
  if (!room.runs[pane.run] || !kinds.includes(kind) || !(pane.axis >= 0 && pane.axis <= 2)) {
    return null;
  }
  if (other.length === 3) pane.other = mapOf(...other);
  return pane;
}

function mapOf(run, map, head) {
  return { run: Number(run), map: Number(map), head: head === "mean" ? null : Number(head) };
}

// The map after one: of the next run where there are several, or the next map or head.
export function nextMap({ run, map, head }) {
  if (room.runs.length > 1) {
    const next = (run + 1) % room.runs.length;
    return { run: next, map: Math.min(map, room.runs[next].maps.length - 1), head: null };
  }
  const { maps } = room.runs[run];
  if (maps.length > 1) return { run, map: (map + 1) % maps.length, head: null };
  const heads = maps[map].heads;
  return { run, map, head: heads ? ((head ?? -1) + 1) % heads : null };
}

// Parts of the page.

export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

export function shortNumber(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 1000 ? 5 : 4)));
}
