"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const about = JSON.parse(byId("about").textContent);
  const [C, H, W] = about.shape, SIZE = C * H * W, ROW = 24;
  const stored = Uint8Array.from(atob(byId("pixels").textContent), (c) => c.charCodeAt(0));
  const named = (name) => name.replaceAll("_", " ");
  let now = 0;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) key === "text" ? (element.textContent = value) : element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function shape(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ---- all units -------------------------------------------------------------------------------

  function map() {
    const canvas = byId("map"), units = about.units, groups = about.groups;
    canvas.width = units.length;
    canvas.height = groups.length * ROW;
    canvas.style.height = `${groups.length * ROW}px`;
    const pen = canvas.getContext("2d");
    pen.fillStyle = colour("--track");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    units.forEach((unit, u) => unit.outside.forEach((share, g) => {
      pen.globalAlpha = Math.sqrt(share);
      pen.fillStyle = colour(u === now ? "--other" : "--accent");
      pen.fillRect(u, g * ROW + 1, 1, ROW - 2);
    }));
    pen.globalAlpha = 1;
    const newest = units[0];
    canvas.setAttribute("aria-label", `${units.length} units; unit ${newest.unit} is outside its range most often`);
    byId("rows").replaceChildren(...groups.map((group) => make("li", { text: named(group.name) })));
  }

  // ---- one unit --------------------------------------------------------------------------------

  function picture(place, name) {
    const canvas = make("canvas", { width: W, height: H, role: "img", "aria-label": `input of ${name}` });
    const image = new ImageData(W, H);
    for (let p = 0; p < H * W; p++) {
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = stored[place * SIZE + (C === 1 ? 0 : c) * H * W + p];
      image.data[4 * p + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /** A box of the quantiles of one group on the scale of all groups. */
  function box([a, b, c, d, e], unit, least, most) {
    const svg = shape("svg", { viewBox: "0 0 300 20", role: "img" });
    const x = (v) => 4 + (292 * (v - least)) / Math.max(1e-9, most - least);
    svg.append(
      shape("rect", { x: x(unit.low), y: 0, width: Math.max(1, x(unit.high) - x(unit.low)), height: 20, fill: "var(--track)" }),
      shape("line", { x1: x(a), x2: x(e), y1: 10, y2: 10, stroke: "var(--accent)", "stroke-width": 1.5 }),
      shape("rect", { x: x(b), y: 4, width: Math.max(1, x(d) - x(b)), height: 12, fill: "var(--accent)", "fill-opacity": 0.45 }),
      shape("line", { x1: x(c), x2: x(c), y1: 3, y2: 17, stroke: "var(--accent)", "stroke-width": 2.5 }));
    svg.setAttribute("aria-label", `median ${c}, 90 % from ${a} to ${e}`);
    return svg;
  }

  function show(u) {
    now = Math.max(0, Math.min(about.units.length - 1, u));
    const unit = about.units[now], every = unit.quantiles.flat().concat(unit.low, unit.high);
    const least = Math.min(...every), most = Math.max(...every);
    byId("unit").value = now;
    byId("before").disabled = now === 0;
    byId("after").disabled = now === about.units.length - 1;
    const loudest = unit.outside.indexOf(Math.max(...unit.outside));
    const words = `Unit ${unit.unit}: from ${unit.low} to ${unit.high} in training; outside most often on ` +
      `${named(about.groups[loudest].name)} (${percent(unit.outside[loudest])}); weight ${percent(unit.weight)} of all units.`;
    byId("unit-text").textContent = words;
    byId("live").textContent = words;
    byId("unit-groups").replaceChildren(...about.groups.flatMap((group, g) => [
      make("span", { text: named(group.name) }), box(unit.quantiles[g], unit, least, most),
      make("span", { text: percent(unit.outside[g]) }),
      make("span", { class: "driving" }, ...unit.driven[g].map((place) => picture(place, named(group.name)))),
    ]));
    tuning(unit);
    map();
  }

  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

  function tuning(unit) {
    byId("tuned").hidden = !unit.tuning.length;
    const most = Math.max(1e-9, ...unit.tuning.map((v) => Math.abs(v ?? 0)));
    byId("tuning").replaceChildren(...unit.tuning.map((value, k) => {
      const filled = make("b");
      filled.style.width = `${(100 * Math.abs(value ?? 0)) / most}%`;
      filled.style.background = value < 0 ? "var(--other)" : "var(--accent)";
      return make("li", {}, make("span", { text: about.classes[k] }), make("span", { class: "bar" }, filled), make("span", { text: value === null ? "–" : String(value) }));
    }));
  }

  // ---- the controls ----------------------------------------------------------------------------

  function theme(name) {
    document.documentElement.dataset.theme = name;
    byId("theme").textContent = name === "dark" ? "Light" : "Dark";
    byId("theme").onclick = () => { theme(name === "dark" ? "light" : "dark"); map(); };
  }

  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  byId("unit").onchange = (event) => show(Number(event.target.value));
  byId("before").onclick = () => show(now - 1);
  byId("after").onclick = () => show(now + 1);
  byId("map").onclick = (event) => {
    const edge = event.target.getBoundingClientRect();
    show(Math.floor(((event.clientX - edge.left) / edge.width) * about.units.length));
  };
  show(0);
})();
