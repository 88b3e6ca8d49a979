"use strict";
// A figure at large, or its image and its heat laid over each other anew. These are parts of the
// figure's own file. A page must not read the pixels of local files, and this one doesn't: two
// canvases lie over each other, and a filter makes of colors how opaque they are.
class Stage {
  // name: of its filters; heat: what makes heat of colors, as page_heat.py has it, by kind.
  constructor(root, name, heat) {
    this.root = root;
    this.filters = {};
    for (const kind of Object.keys(heat)) {
      this.filters[kind] = `${name}-${kind}`;
      document.getElementById("filters").append(heatFilter(this.filters[kind], heat[kind]));
    }
    this.image = root.querySelector("img");
    [this.under, this.over] = root.querySelectorAll("canvas");
    this.said = root.querySelector(".said");
    this.caption = root.querySelector(".of-run");
    this.image.addEventListener("load", () => this.mix());
    this.image.addEventListener("error", () => this.say("This figure's file is not there any more."));
  }

  // address: the figure's file; panels: where its parts lie, or null.
  show({ address, alt, panels }) {
    this.panels = panels;
    this.said.textContent = "";
    this.image.alt = this.under.ariaLabel = alt;
    if (this.image.getAttribute("src") === address) this.mix();
    else this.image.src = address;
  }

  say(text) {
    this.said.textContent = text;
    this.root.classList.remove("mixed");
  }

  // How: {on, alpha, byHeat, map}.
  look(how) {
    this.how = how;
    this.mix();
  }

  mix() {
    const { panels, how, image } = this;
    const isMixed = Boolean(how?.on && panels);
    if (isMixed && (!image.complete || image.naturalWidth !== panels.width)) return; // still to come
    this.root.classList.toggle("mixed", isMixed);
    if (!isMixed) return;
    const [x, y, width, height] = panels.image;
    const [heatX, heatY, , , bar, isSigned] = panels.heats[how.map] ?? panels.heats[0];
    for (const canvas of [this.under, this.over]) {
      canvas.width = width + bar; // empties it
      canvas.height = height;
    }
    const under = this.under.getContext("2d");
    under.drawImage(image, x, y, width, height, 0, 0, width, height);
    under.drawImage(image, heatX + width, heatY, bar, height, width, 0, bar, height);
    this.over.getContext("2d").drawImage(image, heatX, heatY, width, height, 0, 0, width, height);
    this.over.style.opacity = how.alpha;
    const filter = this.filters[isSigned ? "signed" : "plain"];
    this.over.style.filter = how.byHeat && filter ? `url(#${filter})` : "none";
  }
}

// A filter that makes each color as opaque as it is hot: curves over R, G and B, and over three
// mixtures of them, add up to the heat.
function heatFilter(name, { mixtures, curves, weights, constant }) {
  const { namespaceURI } = document.getElementById("filters");
  const made = (tag, attributes, ...parts) => {
    const node = document.createElementNS(namespaceURI, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...parts);
    return node;
  };
  const matrix = (rows, attributes) => made("feColorMatrix", { values: rows.flat().join(" "), ...attributes });
  const nothing = [0, 0, 0, 0, 0];
  const sums = []; // of the weights of three curves each
  const parts = [0, 3].flatMap((first) => {
    const sum = weights.slice(first, first + 3).reduce((total, weight) => total + weight, 0) || 1;
    sums.push(sum);
    const shares = weights.slice(first, first + 3).map((weight) => weight / sum);
    return [
      made("feComponentTransfer", {}, ...["R", "G", "B"].map((channel, at) =>
        made(`feFunc${channel}`, { type: "table", tableValues: curves[first + at].join(" ") }))),
      matrix([nothing, nothing, nothing, [...shares, 0, 0]], { result: `sum-${first}` }),
    ];
  });
  const mixed = matrix([...mixtures.map(([red, green, blue, more]) => [red, green, blue, 0, more]), [0, 0, 0, 1, 0]], { in: "SourceGraphic" });
  parts[0].setAttribute("in", "SourceGraphic");
  parts.splice(2, 0, mixed);
  return made("filter", { id: name, x: 0, y: 0, width: "100%", height: "100%", "color-interpolation-filters": "sRGB" },
    ...parts,
    made("feComposite", { operator: "arithmetic", in: "sum-0", in2: "sum-3", k1: 0, k2: sums[0], k3: sums[1], k4: constant, result: "heat" }),
    made("feComposite", { operator: "in", in: "SourceGraphic", in2: "heat" }));
}

// "W H,x y w h,x y w h b,..." as figures.csv has it: the figure, its image, its heats.
function panelsOf(text) {
  if (!text) return null;
  const [[width, height], image, ...heats] = text.split(",").map((part) => part.split(" ").map(Number));
  return { width, height, image, heats };
}
