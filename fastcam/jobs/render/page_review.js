"use strict";
// Marks and notes of a reader, kept by this browser, and their file: lines as `fastcam view` writes
// and `fastcam review` reads them. A case's mark is that of its last line; a line without a mark
// takes the one before it back.
const review = (() => {
  const COLUMNS = ["case", "run", "slice", "method", "mark", "note", "region", "plane", "reader", "time"];
  const MARKS = ["1", "2", "3", "4", "5"];
  const FORMULA = /^'*[=+\-@＝＋－＠]/;
  const NUMBER = /^([+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan))$/i;
  const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*(Z|[+-]\d\d:\d\d)$/;
  const place = `fastcam review ${location.pathname}`;
  let { reader, lines } = kept();
  let latest = new Map();
  index();

  function kept() {
    try {
      const { reader, lines } = JSON.parse(localStorage.getItem(place));
      return { reader: String(reader), lines: lines.map(judgement) };
    } catch {
      return { reader: "", lines: [] }; // none yet, or a browser that keeps nothing
    }
  }

  function judgement(values) {
    return Object.fromEntries(COLUMNS.map((name) => [name, String(values[name] ?? "")]));
  }

  // Whether the browser keeps them: where it doesn't, they are to be saved before the page is left.
  function keep() {
    join(kept().lines);
    index();
    try {
      localStorage.setItem(place, JSON.stringify({ reader, lines }));
      return true;
    } catch {
      return false;
    }
  }

  // What another tab of the same page has kept meanwhile.
  function join(others) {
    const known = new Set(lines.map((line) => JSON.stringify(line)));
    const more = others.filter((line) => !known.has(JSON.stringify(line)));
    if (more.length) lines = [...lines, ...more].sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
  }

  function index() {
    latest = new Map(lines.filter((line) => line.reader === reader).map((line) => [line.case, line]));
  }

  function of(name) {
    const line = latest.get(name);
    return line && (line.mark || line.note) ? line : undefined;
  }

  // Cases with a mark or a note: one whose mark was taken back has neither.
  function count() {
    return [...latest.keys()].filter(of).length;
  }

  function add(values) {
    lines.push(judgement({ ...values, reader, time: new Date().toISOString() }));
    return keep();
  }

  function readAs(name) {
    reader = name;
    return keep();
  }

  // As fastcam's cells: no control characters, and nothing that a spreadsheet runs.
  function cell(text) {
    let shown = text.replace(/\\(?=x[0-9a-f]{2})/g, "\\x5c").replace(/[\u0000-\u001f\u007f-\u009f]/g,
      (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
    if (FORMULA.test(shown) && !NUMBER.test(shown)) shown = `'${shown}`;
    return shown || "n/a";
  }

  function original(shown) {
    if (shown === "n/a") return "";
    const text = shown.startsWith("'") && FORMULA.test(shown) ? shown.slice(1) : shown;
    return text.replace(/\\x([0-9a-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
  }

  function toText() {
    const rows = lines.map((line) => COLUMNS.map((name) => cell(line[name])));
    return [COLUMNS, ...rows].map((row) => `${row.join("\t")}\n`).join("");
  }

  // How many lines of a file are new here, and how many are no judgements; null for a file of
  // something else.
  function addText(text) {
    const [head, ...rows] = text.replace(/^\ufeff/, "").split(/\r?\n/);
    const names = head.split("\t");
    if (!names.includes("case") || !names.includes("mark")) return null;
    const known = new Set(lines.map((line) => JSON.stringify(line)));
    let [added, unread] = [0, 0];
    for (const row of rows.filter((text) => text.trim())) {
      const cells = row.split("\t");
      const line = judgement(Object.fromEntries(names.map((name, at) => [name, original(cells[at] ?? "")])));
      const isWhole = cells.length === names.length && line.case && (!line.time || TIME.test(line.time));
      unread += Number(!isWhole);
      if (!isWhole || known.has(JSON.stringify(line))) continue;
      known.add(JSON.stringify(line));
      lines.push(line);
      added += 1;
    }
    lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    // Who has judged nothing here, and loads the marks of one reader, is that reader.
    if (!reader && readers().length === 1) [reader] = readers();
    keep();
    return { added, unread };
  }

  // Everybody whose lines are here.
  function readers() {
    return [...new Set(lines.map((line) => line.reader))];
  }

  return { MARKS, of, add, readAs, toText, addText, readers, reader: () => reader, count };
})();
