// Pictures from the server: fetched once, kept for a while, neighbours ahead of time.

import { state } from "./state.js";

const CAPACITY = 160; // pictures; a bitmap of 512 x 512 is a megabyte
const cache = new Map();
const pending = new Map();

export function pictureQuery(facts, pane, at, look = state.look) {
  const query = new URLSearchParams();
  query.set("case", state.case);
  query.set("run", pane.run);
  query.set("kind", pane.kind === "swipe" ? "overlay" : pane.kind);
  query.set("map", pane.map);
  if (pane.head !== null) query.set("head", pane.head);
  if (pane.other && pane.kind === "difference") query.set("other", reference(pane.other));
  const linked = look.link ? references().filter((text) => text !== reference(pane)) : [];
  if (linked.length) query.set("linked", linked.join("~"));
  query.set("axis", pane.axis);
  query.set("slice", sliceOf(facts.runs[pane.run], pane.axis, at));
  for (const [name, value] of Object.entries(look)) {
    if (value === null || value === undefined || value === false || name === "link") continue;
    if (name === "contour") query.set(name, "1");
    else query.set(name, Array.isArray(value) ? value.join(",") : value);
  }
  return query;
}

export function reference({ run, map, head }) {
  return `${run}.${map}.${head ?? "mean"}`;
}

// The maps of all panes, each once.
function references() {
  const panes = state.panes.flatMap((pane) => (pane.other ? [pane, pane.other] : [pane]));
  return [...new Set(panes.map(reference))].sort();
}

// The number of a slice as the run counts it.
export function sliceOf(own, axis, at) {
  const depth = own.planes[axis]?.depth ?? 1;
  const number = axis === 0 ? at[0] - own.first : at[axis];
  return Math.min(Math.max(number, 0), depth - 1);
}

export function cachedPicture(address) {
  const picture = cache.get(address);
  if (picture) {
    cache.delete(address);
    cache.set(address, picture);
  }
  return picture;
}

export async function loadPicture(address) {
  const cached = cachedPicture(address);
  if (cached) return cached;
  if (!pending.has(address)) {
    const loading = fetched(address).finally(() => pending.delete(address));
    pending.set(address, loading);
  }
  return pending.get(address);
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    const content = await answer.json().catch(() => ({}));
    throw new Error(content.error ?? `the server answers ${answer.status}`);
  }
  const limits = answer.headers.get("x-limits");
  const picture = {
    bitmap: await createImageBitmap(await answer.blob()),
    limits: limits ? limits.split(",").map(Number) : null,
    ends: (answer.headers.get("x-ends") ?? "").split(","),
    colors: answer.headers.get("x-colors"),
    unit: decodeURIComponent(answer.headers.get("x-unit") ?? ""),
    caption: decodeURIComponent(answer.headers.get("x-caption") ?? ""),
    notes: decodeURIComponent(answer.headers.get("x-notes") ?? "").split("\n").filter(Boolean),
    provisional: answer.headers.has("x-provisional"),
  };
  if (picture.provisional) return picture; // asked for again until its scale is known
  cache.set(address, picture);
  for (const [oldest, old] of cache) {
    if (cache.size <= CAPACITY) break;
    cache.delete(oldest);
    old.bitmap.close?.();
  }
  return picture;
}

// Ahead of time: one after the other, and only the latest wishes.
let wishes = [];
let fetching = false;

export function prefetch(addresses) {
  wishes = addresses.filter((address) => !cache.has(address));
  if (!fetching) work();
}

async function work() {
  fetching = true;
  while (wishes.length) {
    const address = wishes.shift();
    await loadPicture(address).catch(() => null);
  }
  fetching = false;
}
