// The reading room: its parts brought together.

import {
  addressOf, element, getJson, listen, nextMap, readAddress, room, state, update,
} from "./state.js";
import { pictureQuery, prefetch } from "./pictures.js";
import { CaseTable } from "./table.js";
import { Judge } from "./judge.js";
import { LookForm } from "./look.js";
import { Pane } from "./pane.js";
import { Strip } from "./strip.js";
import { TakeAlong } from "./take.js";
import { TOOLS, Tools } from "./tools.js";
import { VolumeView } from "./volume.js";

const AHEAD = 3; // slices
const FACTS = 64; // cases
const factsOf = new Map();
let facts = null;
let panes = [];

const byId = (id) => document.getElementById(id);
const tools = new Tools((region, pane) => judge.setRegion(region, pane));
const table = new CaseTable(openCase);
const look = new LookForm(() => facts);
const strip = new Strip(openCase);
const judge = new Judge({
  tools,
  next: (event) => step(1, event),
  facts: () => facts,
  changed: () => table.showRows(),
});
const volume = new VolumeView({ facts: () => facts, panes: () => panes });
const take = new TakeAlong({ facts: () => facts, panes: () => panes, table });

async function loadFacts(index) {
  if (!factsOf.has(index)) {
    factsOf.set(index, getJson(`api/case?case=${index}`));
    if (factsOf.size > FACTS) factsOf.delete(factsOf.keys().next().value);
  }
  try {
    return await factsOf.get(index);
  } catch (error) {
    factsOf.delete(index);
    throw error;
  }
}

let opening = 0;

// The case that is being opened: keys that are pressed meanwhile go on from it.
let target = null;

async function openCase(index, event, keepPlace = false) {
  const ticket = ++opening;
  target = index;
  let loaded;
  try {
    loaded = await loadFacts(index);
  } catch (error) {
    if (ticket === opening) target = null;
    byId("notes").textContent = error.message;
    return;
  }
  if (ticket !== opening) return; // another case was asked for meanwhile
  target = null;
  facts = loaded;
  tools.ruler = tools.draft = tools.region = null;
  const own = facts.runs.find((each) => !each.error);
  const changes = { case: index };
  if (!keepPlace && own) changes.at = firstPlace(own);
  if (own && index !== state.case) changes.look = { ...state.look, window: null };
  update(changes, event);
  strip.begin(facts, table.order);
  fetchStrip(ticket);
  judge.begin(index);
  table.follow();
  const after = table.neighbour(1);
  if (after !== undefined) setTimeout(() => ahead(after, ticket), 400);
}

function fetchStrip(ticket) {
  if (ticket !== opening) return;
  if (panes.some((pane) => pane.loading)) setTimeout(() => fetchStrip(ticket), 20);
  else strip.fetch();
}

async function ahead(index, ticket) {
  if (ticket !== opening) return;
  const next = await loadFacts(index).catch(() => null);
  if (!next || ticket !== opening) return;
  const own = next.runs.find((each) => !each.error);
  if (!own) return;
  const looked = { ...state.look, window: null };
  const queries = state.panes
    .filter((pane) => next.runs[pane.run]?.planes?.[pane.axis])
    .map((pane) => {
      const query = pictureQuery(next, pane, firstPlace(own), looked);
      query.set("case", index);
      return `api/picture?${query}`;
    });
  prefetch(queries);
}

// The slice with the highest heat, and the middle of it.
function firstPlace(own) {
  const at = [own.first + own.best, 0, 0];
  const plane = own.planes[0];
  at[plane.down] = Math.floor((plane.down === 0 ? plane.depth : plane.height) / 2);
  at[plane.across] = Math.floor(plane.width / 2);
  return at;
}

function step(count, event) {
  const index = table.neighbour(count, target ?? state.case);
  if (index !== undefined) openCase(index, event);
}

// Pictures.

function showPanes() {
  if (!facts) return;
  const box = byId("panes");
  if (panes.length !== state.panes.length) {
    panes = state.panes.map((_, number) => new Pane(number, tools));
    box.replaceChildren(...panes.map((pane) => pane.root));
    box.dataset.count = panes.length;
    resized.disconnect();
    for (const pane of panes) resized.observe(pane.stage);
  }
  // Before pictures are laid out: it changes how large the panes are.
  const planes = new Set(state.panes.map((pane) => pane.axis)).size > 1;
  byId("planes").setAttribute("aria-pressed", String(planes));
  box.classList.toggle("three-planes", planes && panes.length === 3);
  for (const pane of panes) {
    const key = JSON.stringify([state.case, pane.spec, state.panes.length]);
    if (pane.key !== key) {
      pane.key = key;
      pane.showHead(facts);
    }
    pane.show(facts);
  }
}

// A pane's stage also changes where the window doesn't: other panes come, a caption takes two lines.
const resized = new ResizeObserver(
  () => facts && panes.forEach((pane) => pane.facts && pane.layOut(facts)),
);

let aheadTimer = 0;

// What the next turn of the wheel needs; while a slider moves, nothing is fetched but its pictures.
function fetchAhead(delay) {
  clearTimeout(aheadTimer);
  prefetch([]);
  aheadTimer = setTimeout(() => {
    if (panes.some((pane) => pane.loading)) {
      fetchAhead(delay); // what is looked at comes first
      return;
    }
    const addresses = [];
    for (let away = 1; away <= AHEAD; away++) {
      for (const sign of [state.direction ?? 1, -(state.direction ?? 1)]) {
        for (const { axis, ...rest } of state.panes.slice(0, 4)) {
          const own = facts.runs[rest.run];
          const plane = own?.planes?.[axis];
          if (!plane || plane.depth < 2) continue;
          const at = [...state.at];
          at[axis] += sign * away;
          const number = axis === 0 ? at[0] - own.first : at[axis];
          if (number < 0 || number >= plane.depth) continue;
          const bare = rest.kind === "image" || rest.kind === "mask";
          if (axis === 0 && own.seen && !bare && !own.seen.includes(number)) continue;
          addresses.push(`api/picture?${pictureQuery(facts, { axis, ...rest }, at)}`);
        }
      }
    }
    prefetch(addresses);
  }, delay);
}

// Words above the pictures.

function showTitle() {
  if (!facts) return;
  byId("title").textContent = facts.id;
  document.title = `${facts.id} · fastcam`;
  const words = facts.runs.map((own, number) => {
    const parts = [];
    if (room.runs.length > 1) parts.push(room.runs[number].name);
    if (own.error) parts.push(own.error);
    else if (own.prediction !== undefined) {
      if (own.correct !== null) parts.push(own.correct ? "correct" : "wrong");
      if (own.label) parts.push(`true ${own.label}`);
      if (own.prediction) parts.push(`predicted ${own.prediction}`);
      if (own.confidence !== null) parts.push(`confidence ${own.confidence.toFixed(4)}`);
    }
    const verdict = own.correct === true ? "right" : own.correct === false ? "wrong" : "";
    return element("span", { className: verdict }, parts.join("  ·  "));
  });
  byId("verdict").replaceChildren(...words);
  byId("verdict").title = words.map((word) => word.textContent).join("\n");
}

// What is odd about the runs that are looked at, and about the case.
function showNotes() {
  if (!facts) return;
  const looked = new Set(state.panes.map((pane) => pane.run));
  const notes = facts.runs.flatMap((own, number) => [
    ...(looked.has(number) ? room.runs[number].notes : []), ...(own.warnings ?? []),
  ]);
  byId("notes").replaceChildren(
    ...[...new Set(notes)].map((text) => element("p", {}, text)),
  );
}

// Keys.

const KEYS = [
  ["← →", "previous, next case"],
  ["↑ ↓, wheel", "previous, next slice"],
  ["PgUp PgDn", "ten slices"],
  ["g", "the slice with the highest heat"],
  ["+ − f", "larger, smaller, whole picture"],
  ["a d", "less, more heat"],
  ["o", "heat off and on"],
  ["Shift with arrows", "move the crosshair"],
  ["Enter", "set a point of ruler, box or lasso at the crosshair"],
  ["Esc", "remove ruler and region"],
  ...TOOLS.map(([, title, key]) => [key, title.toLowerCase()]),
  ["t", "three planes"],
  ["c", "one more picture"],
  ["y", "the volume in 3-D, with the extra view3d"],
  ["/", "search"],
  ["1 – 9", "mark the case"],
  ["n", "write a note"],
  ["?", "these keys"],
];

function focusedPane() {
  return panes.find((pane) => pane.root.contains(document.activeElement)) ?? panes[0];
}

let opacity = null;

function key(event) {
  const target = event.target;
  const typing = target.matches(
    "input:not([type=range]):not([type=checkbox]), textarea:not([readonly]), select",
  );
  if (event.key === "Escape") {
    if (typing) target.blur();
    tools.clear();
    showPanes();
    document.body.classList.remove("show-cases", "show-tools");
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || byId("volume").open) return;
  const pane = focusedPane();
  const inButtons = target.matches("button, summary, a, [role=grid]");
  const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  if (event.shiftKey && event.key in moves && pane) tools.nudge(pane, ...moves[event.key], event);
  else if (event.key === "ArrowLeft") step(-1, event);
  else if (event.key === "ArrowRight") step(1, event);
  else if (target.matches("input[type=range]")) return;
  else if (event.key === "ArrowUp") tools.step(pane, -1, event);
  else if (event.key === "ArrowDown") tools.step(pane, 1, event);
  else if (event.key === "PageUp") tools.step(pane, -10, event);
  else if (event.key === "PageDown") tools.step(pane, 10, event);
  else if (event.key === "Enter" && !inButtons && pane) tools.click(pane);
  else if (event.key === "g") strip.toBest(event);
  else if (event.key === "+" || event.key === "=") tools.zoom(pane, 1.25, event);
  else if (event.key === "-") tools.zoom(pane, 0.8, event);
  else if (event.key === "f") update({ zoom: 1, pan: [0, 0] }, event);
  else if (event.key === "a" || event.key === "d") {
    const alpha = Math.min(1, Math.max(0, state.look.alpha + (event.key === "d" ? 0.05 : -0.05)));
    update({ look: { ...state.look, alpha: Number(alpha.toFixed(2)) } }, event);
  } else if (event.key === "o") {
    const off = state.look.alpha === 0;
    if (!off) opacity = state.look.alpha;
    update({ look: { ...state.look, alpha: off ? (opacity ?? room.style.alpha) : 0 } }, event);
  } else if (event.key === "/") byId("search").focus();
  else if (event.key === "?") byId("keys").showModal();
  else if (event.key === "t") threePlanes(event);
  else if (event.key === "c") addPane(event);
  else if (event.key === "y") volume.open();
  else if (event.key === "n") judge.focusNote();
  else if (/^[1-9]$/.test(event.key)) judge.mark(Number(event.key) - 1, event);
  else {
    const tool = TOOLS.find(([, , letter]) => letter === event.key);
    if (!tool) return;
    update({ tool: tool[0] }, event);
  }
  event.preventDefault();
}

function threePlanes(event) {
  const first = state.panes[0];
  const own = facts?.runs[first.run];
  const axes = Object.keys(own?.planes ?? {}).map(Number);
  const several = new Set(state.panes.map((pane) => pane.axis)).size > 1;
  if (several) update({ panes: [{ ...first, axis: 0 }], crosshair: false }, event);
  else if (axes.length < 2) byId("notes").textContent = "this case has one plane only";
  else update({ panes: axes.map((axis) => ({ ...first, axis })), crosshair: true }, event);
}

function addPane(event) {
  if (state.panes.length >= 6) return;
  const last = state.panes[state.panes.length - 1];
  const next = nextMap(last);
  const same = next.run === last.run && next.map === last.map && next.head === last.head;
  const kinds = { overlay: "image", image: "heat", heat: "overlay" };
  const kind = same ? (kinds[last.kind] ?? "overlay") : last.kind;
  const added = { ...next, kind, axis: last.axis, other: same ? undefined : last.other };
  update({ panes: [...state.panes, added] }, event);
}

// Beginning.

async function begin() {
  const slow = setTimeout(() => (byId("notes").textContent = "The run is being opened …"), 500);
  // Both wait for the room; the case is needed right after it.
  if (!location.hash) loadFacts(0).catch(() => null);
  try {
    Object.assign(room, await getJson("api/room"));
  } catch (error) {
    byId("notes").textContent = error.message;
    return;
  } finally {
    clearTimeout(slow);
  }
  room.tables = Object.fromEntries(
    Object.entries(room.tables).map(([name, text]) => [name, tableOf(text)]),
  );
  state.look = { ...room.style, limits: null, window: null, contour: false, link: false };
  state.panes = [{ run: 0, map: 0, head: null, kind: "overlay", axis: 0 }];
  const hasPlace = readAddress();
  tools.fillToolbar(byId("toolbar"));
  byId("key-list").append(
    ...KEYS.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]),
  );
  table.begin();
  look.begin();
  take.build();
  volume.begin();
  listen(changed);
  await judge.build();
  const open = location.hash ? undefined : judge.firstOpen(table.order);
  await openCase(open ?? state.case, null, hasPlace);
}

function tableOf(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const pixels = new Uint8ClampedArray(1024).fill(255);
  for (let i = 0; i < 256; i++) pixels.set(bytes.subarray(3 * i, 3 * i + 3), 4 * i);
  return pixels;
}

function changed(changes) {
  if ("search" in changes || "filters" in changes || "sort" in changes) table.refresh();
  if ("tool" in changes) tools.showTool();
  if ("case" in changes) showTitle();
  if ("case" in changes || "panes" in changes) showNotes();
  if ("look" in changes || "case" in changes) look.show();
  showPanes();
  if ("at" in changes) strip.show();
  if ("at" in changes || "look" in changes || "panes" in changes) {
    fetchAhead("look" in changes ? 500 : 20);
  }
}

byId("previous").addEventListener("click", (event) => step(-1, event));
byId("next").addEventListener("click", (event) => step(1, event));
byId("planes").addEventListener("click", threePlanes);
byId("compare").addEventListener("click", addPane);
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
for (const name of ["cases", "tools"]) {
  const button = byId(`show-${name}`);
  button.addEventListener("click", () => {
    const open = document.body.classList.toggle(`show-${name}`);
    button.setAttribute("aria-expanded", String(open));
    document.body.classList.remove(name === "cases" ? "show-tools" : "show-cases");
    if (name === "cases") table.showRows();
  });
}
document.addEventListener("keydown", key);
window.addEventListener("hashchange", () => {
  if (location.hash === addressOf()) return;
  const before = state.case;
  const hasPlace = readAddress();
  const index = state.case;
  state.case = before;
  table.search.value = state.search;
  table.fillFilters();
  table.refresh();
  openCase(index, null, hasPlace);
});
begin();
