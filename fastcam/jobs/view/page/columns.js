// How wide the columns of the table are: as wide as what stands in them.

const PADDING = 15; // pixels, at both sides of a cell together; the first has 7 more
const DOT = 14; // behind the id of a case that was judged
const LONGEST = 12; // texts of a column that are measured: a long table has thousands
const MOST_ID = 224;
const MOST_TEXT = 160;
const MOST_HEAD = 96; // where only some columns are shown, heads give way before contents
const SCROLL_BAR = 16;

const pen = document.createElement("canvas").getContext("2d");

// The head of a column: the run that it is of stands below.
export function headText(name) {
  return name.replace(" · ", "\n");
}

// Pixels of the columns: that of the ids, then one for each list of texts.
export function columnWidths({ ids, columns, cellFont, headFont, wide }) {
  const widthOf = (texts, font) => {
    pen.font = font;
    const longest = [...new Set(texts)].sort((a, b) => b.length - a.length).slice(0, LONGEST);
    return Math.ceil(Math.max(0, ...longest.map((text) => pen.measureText(text).width)));
  };
  const id = widthOf(ids, cellFont) + DOT;
  const others = columns.map(({ name, texts }) => {
    const content = Math.min(widthOf(texts, cellFont), MOST_TEXT);
    const head = widthOf(headText(name).split("\n"), headFont);
    return Math.max(content, Math.min(head, wide ? MOST_TEXT : MOST_HEAD)) + PADDING;
  });
  return [Math.min(id, MOST_ID) + PADDING + 7, ...others];
}

// The grid's columns, its width where it must scroll, and the room that it would take.
export function columnStyle([id, ...others]) {
  const sum = others.reduce((a, b) => a + b, 0);
  const least = Math.min(id, 150); // a longer id is cut before anything must be scrolled
  return {
    "--columns": [`minmax(${least}px, 1fr)`, ...others.map((width) => `${width}px`)].join(" "),
    "--least-width": `${least + sum}px`,
    "--whole-width": `${id + sum + SCROLL_BAR}px`,
  };
}
