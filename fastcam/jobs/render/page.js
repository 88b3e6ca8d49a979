"use strict";
// Names are put into the page as text only, never as markup. Addresses within the page: "#12" is
// the case at place 12, "#12/57" its slice 57 at large; so that Back and bookmarks work. Behind a
// "?" stands what the controls are set to, as in "#?filter=wrong&sort=-confidence".
(() => {
  const BATCH = 60;
  const MOST_PAIRS = 400;
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const cases = unpackedCases(data, "");
  const others = data.other ? unpackedCases(data.other, data.other.folder) : [];
  const otherOf = new Map(others.map((entry) => [entry.name, entry]));
  const value = data.maps ? "value" : "weight";
  const byPlace = new Map(cases.map((entry) => [entry.place, entry]));
  const collator = new Intl.Collator(undefined, { numeric: true });
  // Numbers of a page are in one form: with exponents where the highest of all is below 0.001.
  const highest = cases.reduce((most, entry) => Math.max(most, Math.abs(entry.highest ?? 0)), 0);
  const exponents = highest > 0 && (highest < 0.001 || highest >= 1e6);
  const KNOWN_COLUMNS = {
    figures: (entry) => entry.figures.length,
    slice: (entry) => entry.figures[entry.shown][0],
    average: (entry) => entry.figures[entry.shown][1],
    "scale to": (entry) => entry.highest,
  };
  const fileColumns = data.columns.map((column) => ({ ...column, values: columnValues(column.values) }));
  let order = cases; // the cases that the controls leave, sorted
  let built = 0; // how many of them have a card
  let keepAdding = true;
  let scrolled = 0; // where the list was before a case was opened
  let opened = null; // place of the case whose slices are listed
  let large = null; // {entry, at}: the figure at large
  const mixing = { on: false, ...data.mixed, map: 0 }; // how the figure at large is mixed

  function columnValues(values) {
    return values.of ? cases.map(KNOWN_COLUMNS[values.of]) : unpackedColumn(values, cases.length);
  }

  function url(path) {
    return "./" + path.split("/").map(encodeURIComponent).join("/");
  }

  function urlOf(entry, at) {
    return url(entry.base + pathOf(entry.folder, entry, at) + pathOf(entry.figures[at][2], entry, at));
  }

  function element(tag, name, ...content) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...content);
    return made;
  }

  function digits(value, count) {
    if (value === null) return "–";
    if (count) return value.toFixed(count);
    if (value === 0 || Math.abs(value) < 1e-6 * highest) return "0"; // float32 leaves as much over
    if (exponents) return value.toExponential(2).replace("+", "");
    const decimals = 2 - Math.floor(Math.log10(Math.abs(value)));
    const least = Math.abs(value) < 1 ? 4 : 0; // as figures write it
    return value.toFixed(Math.min(Math.max(decimals, least), 20));
  }

  function verdict(entry) {
    if (entry.right === null) return element("b", "quiet", "");
    return element("b", entry.right ? "right" : "wrong", entry.right ? "✓ right" : "✗ wrong");
  }

  function facts(entry) {
    if (data.pictures) return entry.prediction;
    const known = entry.label === "" ? "" : `true ${entry.label} · `;
    const sure = entry.confidence === null && data.maps ? "" :
      ` · confidence ${digits(entry.confidence, 4)}`;
    const off = entry.error === null ? "" :
      ` · error ${entry.error > 0 ? "+" : ""}${String(Number(entry.error.toPrecision(4)))}`;
    return `${known}predicted ${entry.prediction}${off}${sure} · highest ${value} ` +
      digits(entry.highest);
  }

  function pictureName(entry, at) {
    return pathOf(entry.figures[at][2], entry, at).replace(/^.*\//, "").replace(/\.[^.]*$/, "");
  }

  function sliceFacts(entry, at) {
    if (data.pictures) return pictureName(entry, at);
    const slice = data.flat ? "" : `slice ${entry.figures[at][0]} · `;
    return `${slice}average ${value} ${digits(entry.figures[at][1])}`;
  }

  function sliceOf(entry, at) {
    if (data.pictures) return `, ${pictureName(entry, at)}`;
    return data.flat ? "" : `, slice ${entry.figures[at][0]}`;
  }

  function isBest(entry, at) {
    return entry.best && at === entry.shown && !data.flat && !data.pictures;
  }

  function badge() {
    return element("span", "badge", "BEST");
  }

  function panelsAt(entry, at) {
    return entry.panels[entry.figures[at][3]] ?? null;
  }

  // The figure of the other run at the same slice.
  function besides(entry, at) {
    const other = otherOf.get(entry.name);
    if (!other) return null;
    const slice = entry.figures[at][0];
    return { entry: other, at: other.figures.findIndex((figure) => figure[0] === slice) };
  }

  // On a card, under the name of its run where there are two.
  function pictures(entry) {
    if (!data.other) return [picture(entry, entry.shown)];
    const beside = besides(entry, entry.shown);
    return [
      element("div", "facts", ofRun(data.run, entry)), picture(entry, entry.shown),
      element("div", "facts", beside ? ofRun(data.other.run, beside.entry) : `not in ${data.other.run}`),
      ...(beside && beside.at >= 0 ? [picture(beside.entry, beside.at)] : []),
    ];
  }

  function ofRun(run, entry) {
    const right = { true: " · right", false: " · wrong" }[entry.right] ?? "";
    const sure = entry.confidence === null ? "" : ` · confidence ${digits(entry.confidence, 4)}`;
    return `${run}${right} · predicted ${entry.prediction}${sure}`;
  }

  function picture(entry, at) {
    const image = element("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = `Figure of ${entry.name}${sliceOf(entry, at)}`;
    image.addEventListener("load", () => {
      // Pictures still to come keep as much room as this one takes.
      const ratio = image.naturalWidth / image.naturalHeight;
      image.closest(".grid")?.style.setProperty("--ratio", ratio.toFixed(3));
    }, { once: true });
    image.src = urlOf(entry, at);
    return image;
  }

  function addressOf(entry, at) {
    return `#${entry.place}/${entry.figures[at][0]}${settings()}`;
  }

  function homeOf(entry) {
    return (entry.figures.length > 1 ? `#${entry.place}` : "#") + settings();
  }

  // The list of cases

  function card(entry) {
    const made = element("a", `card ${{ true: "is-right", false: "is-wrong" }[entry.right] ?? ""}`);
    const count = entry.figures.length;
    made.href = count > 1 ? `#${entry.place}${settings()}` : addressOf(entry, entry.shown);
    made.dataset.place = entry.place;
    made.append(
      element("div", "line", element("span", "quiet", `${entry.place}`),
        element("h2", "name", entry.name), verdict(entry),
        element("span", "quiet", figureCount(entry))),
      judged(entry), element("div", "facts", data.flat || data.pictures ? facts(entry) : `${facts(entry)} · ` +
        `${entry.best ? "best " : ""}slice ${entry.figures[entry.shown][0]}`),
      ...pictures(entry));
    return made;
  }

  function figureCount({ figures: { length } }) {
    return `${length} figure${length === 1 ? "" : "s"}`;
  }

  // The mark and the note of a case, as its card shows them.
  function judged(entry) {
    const line = review.of(entry.name);
    const text = line ? [line.mark && `mark ${line.mark}`, line.note].filter(Boolean).join(" · ") : "";
    return element("div", "judged", text);
  }

  function addCards() {
    const end = Math.min(built + BATCH, order.length);
    $("cards").append(...order.slice(built, end).map(card));
    built = end;
    $("more").hidden = built === order.length;
    $("more").textContent = `show more, ${(order.length - built).toLocaleString()} left`;
  }

  // What the controls are set to, as it stands in addresses; what is usual is left out.

  function chosenFilter() {
    return document.querySelector("[name=filter]:checked").value;
  }

  function settings() {
    const fields = new URLSearchParams();
    if (chosenFilter() !== "all") fields.set("filter", chosenFilter());
    if ($("pair").value) fields.set("pair", $("pair").value);
    if ($("mark").value) fields.set("mark", $("mark").value);
    if ($("find").value.trim()) fields.set("find", $("find").value.trim());
    if (columns.text) fields.set("columns", columns.text);
    if ($("sort").value !== usualSort) fields.set("sort", $("sort").value);
    if (mixing.on) fields.set("mix", mixing.alpha);
    if (mixing.on && canBlend) fields.set("blend", mixing.byHeat ? "heat" : "flat");
    return String(fields) && `?${fields}`;
  }

  function adopt(text) {
    const fields = new URLSearchParams(text);
    const radios = [...document.querySelectorAll("[name=filter]")];
    (radios.find((radio) => radio.value === fields.get("filter")) ?? radios[0]).checked = true;
    for (const [id, usual] of [["pair", ""], ["mark", ""], ["sort", usualSort]]) {
      $(id).value = fields.get(id) ?? usual;
      if ($(id).selectedIndex < 0) $(id).value = usual;
    }
    $("find").value = fields.get("find") ?? "";
    columns.adopt(fields.get("columns"));
    showColumnCount();
    const alpha = Number(fields.get("mix") ?? NaN);
    mixing.on = alpha >= 0 && alpha <= 1;
    if (mixing.on) Object.assign(mixing, { alpha, byHeat: canBlend && fields.get("blend") === "heat" });
  }

  function offerPairs() {
    const pairs = new Map();
    for (const entry of cases) {
      if (entry.right !== null && entry.label !== "") {
        pairs.set(entry.pair, (pairs.get(entry.pair) ?? 0) + 1);
      }
    }
    $("pairs").hidden = pairs.size < 2 || pairs.size > MOST_PAIRS;
    if ($("pairs").hidden) return;
    for (const pair of [...pairs.keys()].sort(collator.compare)) {
      const option = element("option", "", `true ${pair.replace(" → ", ", predicted ")} (${pairs.get(pair)})`);
      option.value = pair;
      $("pair").append(option);
    }
  }

  function onControl() {
    arrange();
    history.replaceState(null, "", `#${settings()}`);
  }

  function arrange() {
    const filter = chosenFilter();
    const pair = $("pair").value;
    const mark = $("mark").value;
    const wanted = $("find").value.trim().toLowerCase();
    const [, minus, key] = /^(-?)(.*)$/.exec($("sort").value);
    const sign = minus ? -1 : 1;
    order = cases.filter((entry, number) =>
      columns.accepts(number) && (filter === "all" || entry.right === (filter === "right")) &&
      (!mark || (review.of(entry.name)?.mark || "none") === mark) &&
      (!pair || (entry.right !== null && entry.pair === pair)) &&
      (entry.lower.includes(wanted) || String(entry.place) === wanted));
    if (key === "name") order.sort((a, b) => collator.compare(a.name, b.name) || a.place - b.place);
    else {
      const last = sign * Infinity; // what isn't known comes at the end
      order.sort((a, b) => {
        const [one, two] = [a[key] ?? last, b[key] ?? last];
        return (one === two ? 0 : sign * (one - two)) || a.place - b.place;
      });
    }
    $("cards").replaceChildren();
    built = 0;
    keepAdding = true;
    addCards();
    $("found").textContent = order.length === cases.length ? "" :
      order.length === 0 ? "no case is like that" : `${order.length} of ${cases.length} cases`;
  }

  function showList() {
    const from = opened;
    opened = null;
    $("case").hidden = true;
    $("list").hidden = cases.length === 0;
    if (from === null) return;
    document.title = title;
    scrollTo(0, scrolled);
    $("cards").querySelector(`[data-place="${from}"]`)?.focus({ preventScroll: true });
  }

  // The slices of one case

  function neighbour(entry, step) {
    const among = order.includes(entry) ? order : cases;
    return among[among.indexOf(entry) + step];
  }

  function turnTo(link, entry) {
    if (entry) link.href = `#${entry.place}${settings()}`;
    else link.removeAttribute("href");
  }

  function showCase(entry) {
    if (opened === entry.place) return;
    if (opened === null) scrolled = scrollY;
    opened = entry.place;
    $("list").hidden = true;
    $("case").hidden = false;
    document.title = `${entry.name} · ${title}`;
    $("case-name").textContent = `${entry.place} ${entry.name}`;
    $("case-facts").replaceChildren(verdict(entry), ` ${[facts(entry), figureCount(entry)].filter(Boolean).join(" · ")}`);
    if (entry.summary) {
      const link = element("a", "", "summary");
      link.href = url(pathOf(entry.folder, entry) + pathOf(entry.summary, entry));
      $("case-facts").append(" · ", link);
    }
    $("case-all").href = `#${settings()}`;
    turnTo($("case-before"), neighbour(entry, -1));
    turnTo($("case-after"), neighbour(entry, 1));
    $("slices").replaceChildren(...entry.figures.map((_, at) => sliceCard(entry, at)));
    scrollTo(0, 0);
    $("case-name").focus({ preventScroll: true });
  }

  function sliceCard(entry, at) {
    const made = element("a", isBest(entry, at) ? "card is-best" : "card");
    made.href = addressOf(entry, at);
    const line = element("div", "line", element("span", "facts", sliceFacts(entry, at)));
    if (isBest(entry, at)) line.append(badge());
    made.append(line, picture(entry, at));
    return made;
  }

  // One figure at large

  function stepped(entry, at, step) {
    const next = at + step;
    if (next >= 0 && next < entry.figures.length) return { entry, at: next };
    const other = neighbour(entry, step);
    return other && { entry: other, at: step > 0 ? 0 : other.figures.length - 1 };
  }

  function showLarge(entry, at) {
    large = { entry, at };
    $("large-name").textContent = `${entry.place} ${entry.name}`;
    const count = entry.figures.length;
    const said = facts(entry);
    $("large-facts").replaceChildren(verdict(entry), said === "" ? "" : ` ${said} · `,
      element("b", "", sliceFacts(entry, at)), count > 1 ? ` (${at + 1} of ${count}) ` : " ",
      ...(isBest(entry, at) ? [badge()] : []));
    $("large-file").href = urlOf(entry, at);
    showStages();
    for (const [id, step] of [["before", -1], ["after", 1]]) {
      const next = stepped(entry, at, step);
      $(id).disabled = !next;
      for (const each of next ? [next, besides(next.entry, next.at)] : []) {
        if (each && each.at >= 0) new Image().src = urlOf(each.entry, each.at); // decoded beforehand
      }
    }
    showJudgement();
    if (!$("large").open) $("large").showModal();
  }

  // The figure, and that of the other run beside it; or of both the image and the heat.

  function showStages() {
    const { entry, at } = large;
    showStage(stages[0], entry, at);
    if (!data.other) {
      showMixing();
      return;
    }
    stages[0].caption.textContent = ofRun(data.run, entry);
    const beside = besides(entry, at);
    stages[1].caption.textContent = beside ? ofRun(data.other.run, beside.entry) : data.other.run;
    if (beside && beside.at >= 0) showStage(stages[1], beside.entry, beside.at);
    else stages[1].say(beside ? "No figure of this slice." : "This case has no figures there.");
    showMixing();
  }

  function showStage(stage, entry, at) {
    const alt = `Figure of ${entry.name}${sliceOf(entry, at)}`;
    stage.show({ address: urlOf(entry, at), alt, panels: panelsAt(entry, at) });
  }

  function showMixing() {
    const heats = panelsAt(large.entry, large.at)?.heats ?? [];
    $("mixing").hidden = !heats.length;
    $("mix").setAttribute("aria-pressed", String(mixing.on));
    $("alpha").value = mixing.alpha;
    $("alpha-said").textContent = `${Math.round(100 * mixing.alpha)} %`;
    $("blend").value = mixing.byHeat ? "heat" : "flat";
    $("blends").hidden = !canBlend;
    $("maps").hidden = heats.length < 2;
    if ($("map").length !== heats.length) {
      $("map").replaceChildren(...heats.map((_, number) => new Option(`${number + 1}`, number)));
    }
    mixing.map = Math.min(mixing.map, Math.max(heats.length - 1, 0));
    $("map").value = mixing.map;
    for (const stage of stages) stage.look(mixing);
  }

  function setMixing(changes) {
    Object.assign(mixing, { on: true }, changes);
    mixing.alpha = Number(Math.min(Math.max(mixing.alpha, 0), 1).toFixed(2));
    showMixing();
    history.replaceState(null, "", addressOf(large.entry, large.at));
  }

  // Marks and notes

  function showJudgement() {
    const line = review.of(large.entry.name);
    for (const button of $("marks").children) {
      button.setAttribute("aria-pressed", String(button.value === (line?.mark ?? "")));
    }
    $("note").value = line?.note ?? "";
    $("reader").value = review.reader();
  }

  function showReview(said = "") {
    const count = review.count();
    $("review").hidden = cases.length === 0;
    $("judged").textContent = count === 1 ? "1 case judged." : `${count.toLocaleString()} cases judged.`;
    $("review-said").textContent = said;
    for (const made of $("cards").children) {
      made.querySelector(".judged")?.replaceWith(judged(byPlace.get(Number(made.dataset.place))));
    }
  }

  function judge(mark, note) {
    const { entry, at } = large;
    const slice = data.flat || data.pictures ? "" : String(entry.figures[at][0]);
    const isKept = review.add({ case: entry.name, run: data.run, slice, mark, note });
    showJudgement();
    showReview(isKept ? "" : "This browser keeps nothing: save the marks before you leave.");
  }

  // A note is kept when its field is left, however that happens.
  function keepNote() {
    const line = large && review.of(large.entry.name);
    const note = $("note").value.trim();
    if (large && note !== (line?.note ?? "")) judge(line?.mark ?? "", note);
  }

  function setMark(mark) {
    const line = review.of(large.entry.name);
    judge(line?.mark === mark ? "" : mark, $("note").value.trim());
  }

  function saveReview() {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([review.toText()], { type: "text/tab-separated-values" }));
    link.download = "review.tsv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function lineCount(count, kind) {
    return `${count.toLocaleString()} ${kind} line${count === 1 ? "" : "s"}`;
  }

  async function loadReview() {
    const [file] = $("load-review").files;
    if (!file) return;
    const read = review.addText(await file.text());
    $("load-review").value = "";
    arrange();
    showReview(read ? `${lineCount(read.added, "new")} from ${file.name}.` +
      (read.unread ? ` ${lineCount(read.unread, "broken")} left out.` : "") + ofWhom() :
      `${file.name} is not a file of marks: it has no columns case and mark.`);
  }

  // Whose marks the page shows, where it has those of others, too.
  function ofWhom() {
    const others = review.readers().filter((name) => name && name !== review.reader());
    if (!others.length) return "";
    return ` Shown are those of ${review.reader() || "no reader"}; for others write the name under ` +
      `Reader beside a figure: ${others.join(", ")}.`;
  }

  function goTo(target) {
    if (!target) return;
    keepNote();
    // Leafing through a hundred slices is one step in the history.
    history.replaceState(null, "", addressOf(target.entry, target.at));
    showLarge(target.entry, target.at);
  }

  // Closing leads to where the last figure seen lies in the list, not to where leafing began.
  function leave({ entry, at }) {
    keepNote();
    history.replaceState(null, "", homeOf(entry));
    route();
    const place = order.indexOf(entry);
    while (opened === null && place >= built) addCards();
    const home = opened === null ? $("cards").children[place] : $("slices").children[at];
    home?.scrollIntoView({ block: "nearest" });
    home?.focus({ preventScroll: true });
  }

  function bestOf(entry) {
    return entry && { entry, at: entry.shown };
  }

  const KEYS = {
    ArrowLeft: ({ entry, at }) => stepped(entry, at, -1),
    ArrowRight: ({ entry, at }) => stepped(entry, at, 1),
    ArrowUp: ({ entry }) => bestOf(neighbour(entry, -1)),
    ArrowDown: ({ entry }) => bestOf(neighbour(entry, 1)),
    Home: ({ entry }) => ({ entry, at: 0 }),
    End: ({ entry }) => ({ entry, at: entry.figures.length - 1 }),
    b: ({ entry }) => bestOf(entry),
  };

  const LOOKS = {
    m: () => ({ on: !mixing.on }),
    a: () => ({ alpha: mixing.alpha - 0.05 }),
    d: () => ({ alpha: mixing.alpha + 0.05 }),
  };

  let turned = 0; // of the wheel, in pixels

  function onWheel(event) {
    if (event.ctrlKey) return; // zooms the page
    event.preventDefault();
    turned += event.deltaMode ? 40 * event.deltaY : event.deltaY;
    if (Math.abs(turned) < 40) return;
    const { entry, at } = large;
    const to = at + Math.sign(turned);
    turned = 0;
    if (to >= 0 && to < entry.figures.length) goTo({ entry, at: to });
  }

  function onKey(event) {
    if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (review.MARKS.includes(event.key)) setMark(event.key);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in LOOKS && !$("mixing").hidden) setMixing(LOOKS[key]());
    const target = KEYS[key];
    if (!target) return;
    event.preventDefault();
    goTo(target(large));
  }

  // Which of the three is seen

  function route() {
    const [, place, index, text] =
      /^#(\d+)?(?:\/(-?\d+))?(?:\?(.*))?$/.exec(location.hash) ?? [];
    // At the end of the page nothing changes.
    if (location.hash !== "#failures" && (text ?? "") !== settings().slice(1)) {
      adopt(text ?? "");
      arrange();
    }
    const entry = byPlace.get(Number(place));
    const at = entry && index !== undefined ?
      entry.figures.findIndex((figure) => figure[0] === Number(index)) : -1;
    if (at >= 0) {
      if (opened === null) showList();
      showLarge(entry, at);
      return;
    }
    large = null;
    if ($("large").open) $("large").close();
    if (entry) showCase(entry);
    else showList();
    // Who wants to see the end of the page must not be followed by more cards.
    if (location.hash === "#failures") keepAdding = false;
  }

  // What cases can be filtered and sorted by: what their cards say, and the columns of files.

  function cardColumn(name, key, kind, of = cases) {
    const values = of.map((entry) => (kind === "number" ? entry?.[key] ?? null : String(entry?.[key] ?? "")));
    const known = new Set(values.filter((value) => value !== null && value !== ""));
    const few = known.size <= 24 ? "choice" : "text";
    return known.size > 1 ? [{ name, kind: kind === "number" ? kind : few, values }] : [];
  }

  // Which of the two runs is right.
  function bothColumn() {
    if (!data.other) return [];
    const values = cases.map((entry) => {
      const theirs = otherOf.get(entry.name)?.right ?? null;
      if (entry.right === null || theirs === null) return "";
      if (entry.right === theirs) return entry.right ? "both right" : "both wrong";
      return `only ${entry.right ? data.run : data.other.run} right`;
    });
    return values.some(Boolean) ? [{ name: "the two runs", kind: "choice", values }] : [];
  }

  // What the other run says of the cases.
  function otherColumns() {
    if (!data.other) return [];
    const theirs = cases.map((entry) => otherOf.get(entry.name));
    const column = (name, key, kind) => cardColumn(`${name}, ${data.other.run}`, key, kind, theirs);
    return [...column("predicted", "prediction", ""), ...column("confidence", "confidence", "number"),
      ...column(`highest ${value}`, "highest", "number"), ...column("error", "error", "number")];
  }

  function ownColumns() {
    const said = data.pictures ? [] : [
      ...cardColumn("true label", "label", ""), ...cardColumn("predicted", "prediction", ""),
      ...cardColumn("confidence", "confidence", "number"), ...cardColumn(`highest ${value}`, "highest", "number"),
      ...cardColumn("error", "error", "number"), ...otherColumns(),
    ];
    const known = new Set(said.map((column) => column.name));
    return [...bothColumn(), ...said, ...fileColumns.filter((column) => !known.has(column.name))];
  }

  function offerSorts() {
    for (const { name, kind, values } of fileColumns) {
      if (kind !== "number") continue;
      const key = `column:${name}`;
      cases.forEach((entry, number) => (entry[key] = values[number]));
      $("sort").append(new Option(`${name}, highest first`, `-${key}`), new Option(`${name}, lowest first`, key));
    }
  }

  function showColumnCount() {
    $("column-count").textContent = columns.count ? ` (${columns.count})` : "";
  }

  const title = document.title;
  const canBlend = [data, data.other ?? data].every(({ heat }) => heat.plain);
  mixing.byHeat &&= canBlend;
  const columnsShown = ownColumns();
  const columns = new ColumnFilters($("columns"), columnsShown, () => {
    showColumnCount();
    onControl();
  });
  $("more-filters").hidden = !columnsShown.length;
  offerSorts();
  const stages = [...document.querySelectorAll(".stage")].map((root, number) =>
    new Stage(root, `by-heat-${number}`, [data, data.other ?? data][number].heat));
  if (!data.other) stages.pop().root.remove();
  $("stages").classList.toggle("two", Boolean(data.other));
  const usualSort = cases.some((entry) => entry.size !== null) ? "-size" : "place";
  for (const option of $("sort").querySelectorAll(".number")) {
    const key = option.value.replace("-", "");
    if (cases.every((entry) => entry[key] === null)) option.remove();
  }
  $("sort").value = usualSort;
  $("verdicts").hidden = cases.every((entry) => entry.right === null);
  offerPairs();
  for (const mark of review.MARKS) {
    const option = element("option", "", mark);
    option.value = mark;
    $("mark").append(option);
    const button = element("button", "", mark);
    button.type = "button";
    button.value = mark;
    button.addEventListener("click", () => setMark(mark));
    $("marks").append(button);
  }
  const counts = { all: cases.length, right: cases.filter((entry) => entry.right).length };
  counts.wrong = cases.filter((entry) => entry.right === false).length;
  for (const radio of document.querySelectorAll("[name=filter]")) {
    radio.nextElementSibling.lastElementChild.textContent = counts[radio.value].toLocaleString();
  }
  $("controls").addEventListener("input", onControl);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("judge").addEventListener("submit", (event) => event.preventDefault());
  $("note").addEventListener("change", keepNote);
  addEventListener("pagehide", keepNote);
  $("reader").addEventListener("change", () => {
    review.readAs($("reader").value.trim());
    showJudgement();
    showReview();
  });
  $("save-review").addEventListener("click", saveReview);
  $("load-review").addEventListener("change", loadReview);
  $("more").addEventListener("click", addCards);
  $("before").addEventListener("click", () => goTo(stepped(large.entry, large.at, -1)));
  $("after").addEventListener("click", () => goTo(stepped(large.entry, large.at, 1)));
  $("close").addEventListener("click", () => $("large").close());
  $("large").addEventListener("keydown", onKey);
  $("large").addEventListener("close", () => { if (large) leave(large); });
  $("stages").addEventListener("wheel", onWheel, { passive: false });
  $("mix").addEventListener("click", () => setMixing({ on: !mixing.on }));
  $("alpha").addEventListener("input", () => setMixing({ alpha: Number($("alpha").value) }));
  $("blend").addEventListener("input", () => setMixing({ byHeat: $("blend").value === "heat" }));
  $("map").addEventListener("input", () => setMixing({ map: Number($("map").value) }));
  $("mixing").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", route);
  history.scrollRestoration = "manual";
  arrange();
  showReview();
  route();
  new IntersectionObserver((seen) => {
    if (keepAdding && seen.some((entry) => entry.isIntersecting)) addCards();
  }, { rootMargin: "800px" }).observe($("more"));
})();
