// The heat over the volume in 3-D, by NiiVue as the package ipyniivue brings it: a widget of
// notebooks, whose model is made here.

import { element, room, state } from "./state.js";
import { pictureQuery } from "./pictures.js";

const VIEWS = [["4", "3-D"], ["3", "three planes and 3-D"]];

class Model {
  constructor(values) {
    this.values = values;
    this.listeners = new Map();
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.values[name] = value;
  }

  on(name, listener) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }

  off(name) {
    this.listeners.delete(name);
  }

  change(name, value) {
    this.values[name] = value;
    this.tell(`change:${name}`);
  }

  async tell(name, ...values) {
    for (const listener of this.listeners.get(name) ?? []) await listener(...values);
  }

  command(type, ...data) {
    return this.tell("msg:custom", { type, data }, []);
  }

  // There is no kernel that would like to hear of it.
  send_sync_message() {}

  save_changes() {}

  send() {}
}

// Low heat would hide what is behind it: rays add up.
function opaque(level) {
  return level < 16 ? 0 : Math.round(level ** 2 / 255);
}

export class VolumeView {
  constructor({ facts, panes }) {
    this.facts = facts;
    this.panes = panes;
    this.volumes = new Map();
    this.number = 0;
    this.dialog = document.getElementById("volume");
    this.box = document.getElementById("volume-box");
    this.said = document.getElementById("volume-said");
    this.alpha = document.getElementById("volume-alpha");
    this.kind = document.getElementById("volume-kind");
    this.kind.append(...VIEWS.map(([value, text]) => element("option", { value }, text)));
    this.alpha.addEventListener("input", () => this.heat?.change("opacity", Number(this.alpha.value)));
    this.kind.addEventListener("change", () => this.showKind());
    this.button = document.getElementById("show-volume");
    this.button.addEventListener("click", () => this.open());
  }

  begin() {
    this.button.hidden = !room.view3d;
  }

  async open() {
    if (!room.view3d || !this.facts()) return;
    if (!this.dialog.open) this.dialog.showModal();
    this.said.textContent = "The volume is being read …";
    this.dialog.dataset.shown = "";
    try {
      await this.show();
      this.said.textContent = this.facts().id;
      this.dialog.dataset.shown = this.facts().id;
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async show() {
    const spec = this.panes()[0].spec;
    const query = pictureQuery(this.facts(), { ...spec, axis: 0 }, state.at);
    const [image, heat] = await Promise.all(["image", "heat"].map((what) => this.read(query, what)));
    this.heat = this.volume(heat, "fastcam heat", Number(this.alpha.value));
    const image3d = this.volume(image, "gray", 1);
    const ids = [image3d, this.heat].map((model) => `IPY_MODEL_${model.get("id")}`);
    // As the room's own slices lie: the patient's right at the left, or not.
    const letters = this.facts().runs[spec.run].planes[0].letters;
    this.opts = { isRadiologicalConvention: letters[0] !== "L" };
    if (!this.model) await this.start();
    await this.colors(heat.colors);
    this.model.values.volumes = ids;
    if (this.started) await this.model.tell("change:volumes");
    else await this.widget.render({ model: this.model, el: this.box });
    this.started = true;
    this.showKind();
  }

  async read(query, what) {
    query.set("what", what);
    const answer = await fetch(`api/volume?${query}`);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? String(answer.status));
    return { data: new Uint8Array(await answer.arrayBuffer()), colors: answer.headers.get("x-colors") };
  }

  volume({ data }, colormap, opacity) {
    const id = `volume${(this.number += 1)}`;
    const model = new Model({
      id, path: { name: `${id}.nii`, data }, paired_img_path: {}, url: "", name: `${id}.nii`,
      colormap, opacity, cal_min: 0, cal_max: 255, colormap_negative: "", frame_4d: 0,
      colorbar_visible: false, colormap_type: 0, colormap_invert: false, modulate_alpha: 0,
    });
    this.volumes.set(id, model);
    for (const old of [...this.volumes.keys()].slice(0, -2)) this.volumes.delete(old);
    return model;
  }

  async start() {
    this.widget = (await import("./niivue.js")).default;
    this.model = new Model({
      opts: { sliceType: 4, backColor: [0, 0, 0, 1], show3Dcrosshair: true, isColorbar: false },
      scene: { renderAzimuth: 150, renderElevation: 30 },
      height: 0, volumes: [], meshes: [], draw_opacity: 0.8, overlay_outline_width: 0,
      overlay_alpha_shader: 1, background_masks_overlays: 0,
    });
    this.model.widget_manager = { get_model: async (id) => this.volumes.get(id) };
    await this.widget.initialize({ model: this.model });
  }

  // The table of the heat, which is the more transparent the lower it is.
  async colors(name) {
    const table = room.tables[name];
    const channel = (offset) => Array.from({ length: 256 }, (_, level) => table[4 * level + offset]);
    const levels = Array.from({ length: 256 }, (_, level) => level);
    await this.model.command("add_colormap", "fastcam heat", {
      R: channel(0), G: channel(1), B: channel(2), A: levels.map(opaque), I: levels,
    });
  }

  showKind() {
    if (!this.model) return;
    const sliceType = Number(this.kind.value);
    this.model.change("opts", { ...this.model.get("opts"), ...this.opts, sliceType });
    this.model.command("draw_scene");
  }
}
