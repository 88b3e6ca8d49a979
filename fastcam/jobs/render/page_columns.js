"use strict";
// The values of a column as page_columns.py packed them.
function unpackedColumn(column, count) {
  if (Array.isArray(column)) return column;
  if ("all" in column) return new Array(count).fill(column.all);
  if ("from" in column) return Array.from({ length: count }, (_, at) => column.from + at);
  if ("over" in column) return column.values.map((value) => (value === null ? null : value / column.over));
  if ("digits" in column) return Array.from(column.digits, Number);
  if ("joined" in column) return column.joined.split("|").map((text) => column.prefix + text);
  return unpackedColumn(column.at, count).map((number) => column.texts[number]);
}

// Paths of figures and folders: texts, or numbers of patterns as page_paths.py has them.
const PATH_FIELDS = {
  p: (entry) => String(entry.place).padStart(3, "0"),
  n: (entry) => entry.name,
  s: (entry, at) => String(entry.figures[at][0]).padStart(3, "0"),
  k: (entry, at) => String(entry.figures[at][0]),
  b: (entry, at) => (entry.best && at === entry.shown ? "BEST_" : ""),
  a: (entry, at) => entry.figures[at][1].toFixed(4),
};

function pathOf(path, entry, at) {
  if (typeof path === "string") return path;
  return entry.patterns[path].replace(/\{(.)\}/g, (_, field) => PATH_FIELDS[field](entry, at));
}

// The cases of a run, each with its figures as [slice, average, path, number of its layout].
function unpackedCases({ cases: { count, columns, figures }, patterns, layouts }, base) {
  const panels = layouts.map(panelsOf);
  const of = (column, length = count) => unpackedColumn(column, length);
  const [counts, slices] = [of(figures.count), of(figures.slices)];
  const total = counts.reduce((sum, own) => sum + own, 0);
  const [averages, paths, numbers] = [figures.average, figures.path, figures.layout].map((column) => of(column, total));
  const [places, names, labels, predictions] = [columns.place, columns.name, columns.label, columns.prediction].map((column) => of(column));
  const [rights, confidences, highests, shown] = [columns.right, columns.confidence, columns.highest, columns.shown].map((column) => of(column));
  const [bests, summaries, folders, errors] = [columns.best, columns.summary, columns.folder, columns.error].map((column) => of(column));
  let next = 0;

  function figuresOf(number) {
    const own = slices[number];
    const made = new Array(counts[number]);
    for (let at = 0; at < made.length; at += 1, next += 1) {
      made[at] = [Array.isArray(own) ? own[at] : own + at, averages[next], paths[next], numbers[next]];
    }
    return made;
  }

  // Written out: objects that grow key by key take longer to make.
  return names.map((name, number) => ({
    place: places[number], name, label: labels[number], prediction: predictions[number],
    right: rights[number] === null ? null : rights[number] === 1, confidence: confidences[number],
    highest: highests[number], shown: shown[number], best: bests[number] === 1, summary: summaries[number],
    folder: folders[number], figures: figuresOf(number), error: errors[number],
    size: errors[number] === null ? null : Math.abs(errors[number]), base, panels, patterns,
    pair: `${labels[number]} → ${predictions[number]}`, lower: name.toLowerCase(),
  }));
}
