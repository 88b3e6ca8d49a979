"use strict";
// A figure at large, or its image and its heat laid over each other anew. These are parts of the
// figure's own file. A page must not read the pixels of local files, and this one doesn't: two
// canvases lie over each other, and a filter makes of colors how opaque they are.
class Stage {
  constructor(root) {
    this.root = root;
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
    const [heatX, heatY, , , bar] = panels.heats[how.map] ?? panels.heats[0];
    for (const canvas of [this.under, this.over]) {
      canvas.width = width + bar; // empties it
      canvas.height = height;
    }
    const under = this.under.getContext("2d");
    under.drawImage(image, x, y, width, height, 0, 0, width, height);
    under.drawImage(image, heatX + width, heatY, bar, height, width, 0, bar, height);
    this.over.getContext("2d").drawImage(image, heatX, heatY, width, height, 0, 0, width, height);
    this.over.style.opacity = how.alpha;
    this.over.classList.toggle("by-heat", how.byHeat);
  }
}

// "W H,x y w h,x y w h b,..." as figures.csv has it: the figure, its image, its heats.
function panelsOf(text) {
  if (!text) return null;
  const [[width, height], image, ...heats] = text.split(",").map((part) => part.split(" ").map(Number));
  return { width, height, image, heats };
}
