"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const about = JSON.parse(byId("about").textContent);
  const model = JSON.parse(byId("model").textContent);
  const [C, H, W] = about.shape;
  const T = about.targets.length, K = about.classes.length, L = model.blocks.length;
  const SIZE = C * H * W;

  // ---- the network -----------------------------------------------------------------------------

  function bytes(id) {
    const text = atob(byId(id).textContent);
    return Uint8Array.from(text, (c) => c.charCodeAt(0));
  }

  /** Every half-precision number as a float, by its sixteen bits. */
  function halves() {
    const table = new Float32Array(65536);
    for (let i = 0; i < 65536; i++) {
      const sign = i & 0x8000 ? -1 : 1, power = (i >> 10) & 31, rest = i & 1023;
      table[i] = sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -14 * (rest / 1024));
    }
    return table;
  }

  function numbers() {
    const raw = bytes("weights");
    if (model.type === "float32") return new Float32Array(raw.buffer);
    const table = halves();
    return Float32Array.from(new Uint16Array(raw.buffer), (bits) => table[bits]);
  }

  const all = numbers();
  let used = 0;
  const take = (n) => all.subarray(used, (used += n));
  const withNumbers = (op) =>
    op.op === "linear" ? { ...op, w: take(op.in * op.out), b: take(op.out) }
    : op.op === "norm" ? { ...op, w: take(op.out), b: take(op.out) } : op;
  const blocks = model.blocks.map((block) => block.map(withNumbers));
  const head = model.head.map(withNumbers);
  const decoder = model.decoder.map(withNumbers);

  /** Abramowitz and Stegun 7.1.26: off by at most 1.5e-7. */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - p * Math.exp(-x * x));
  }

  const STEPS = {
    linear({ in: n, out, w, b }, v) {
      const y = new Float32Array(out);
      for (let o = 0, k = 0; o < out; o++) {
        let sum = 0;
        for (let i = 0; i < n; i++, k++) sum += w[k] * v[i];
        y[o] = sum + b[o];
      }
      return y;
    },
    norm({ w, b, eps }, v) {
      let mean = 0, variance = 0;
      for (const a of v) mean += a / v.length;
      for (const a of v) variance += (a - mean) ** 2 / v.length;
      const scale = 1 / Math.sqrt(variance + eps);
      return v.map((a, i) => (a - mean) * scale * w[i] + b[i]);
    },
    relu: (_, v) => v.map((a) => Math.max(0, a)),
    gelu: (_, v) => v.map((a) => (a * (1 + erf(a / Math.SQRT2))) / 2),
    sigmoid: (_, v) => v.map((a) => 1 / (1 + Math.exp(-a))),
  };
  const run = (steps, v) => steps.reduce((value, step) => STEPS[step.op](step, value), v);

  /** Probabilities of T targets of K classes, target after target. */
  function softmax(logits) {
    const p = new Float64Array(T * K);
    for (let t = 0; t < T; t++) {
      const part = logits.subarray(t * K, t * K + K), top = Math.max(...part);
      let sum = 0;
      for (let k = 0; k < K; k++) sum += p[t * K + k] = Math.exp(part[k] - top);
      for (let k = 0; k < K; k++) p[t * K + k] /= sum;
    }
    return p;
  }

  /** A picture in the tree of decodings: what f makes of it, and its decodings once asked for. */
  class Picture {
    constructor(image) {
      this.image = image;
      this.activations = [];
      this.decodings = new Array(L);
      let h = image;
      for (const block of blocks) this.activations.push((h = run(block, h)));
      this.probs = softmax(run(head, h));
    }
    decoded(layer) {
      return (this.decodings[layer] ??= new Picture(run(decoder, this.activations[layer])));
    }
    top(t) {
      const p = this.probs.subarray(t * K, t * K + K);
      const k = p.indexOf(Math.max(...p));
      return { k, p: p[k] };
    }
  }

  // ---- the inputs ------------------------------------------------------------------------------

  const stored = bytes("pixels");
  about.inputs.forEach((input, i) => {
    input.image = Float32Array.from(stored.subarray(i * SIZE, (i + 1) * SIZE), (b) => b / 255);
  });

  /** A generator of numbers in [0, 1) that starts alike for the same input (mulberry32). */
  function random(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  const state = { input: 0, root: null, path: [], past: [], target: 0, depth: about.depth, stretch: false };
  let votes = null, chance = null, drawing = 0;

  const entropy = (counts, n) =>
    counts.reduce((sum, c) => (c ? sum - (c / n) * Math.log(c / n) : sum), 0);

  /** Mean over targets of the entropy of the votes, in nats. */
  function voteEntropy(counts, n) {
    let sum = 0;
    for (let t = 0; t < T; t++) sum += entropy(counts.slice(t * K, t * K + K), n);
    return sum / T;
  }

  // ---- drawing on the screen -------------------------------------------------------------------

  const PALETTE = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#9c755f", "#ff9da7", "#8a8f94"];
  const colour = (k) => PALETTE[k % PALETTE.length];
  const percent = (p) => (p >= 0.995 ? ">0.99" : p.toFixed(2));
  const layerName = (l) => `h${String(l + 1).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d])}`;
  const named = (name) => (name === "mistakes" ? "misread" : name.replaceAll("_", " "));
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  function make(tag, options = {}, ...children) {
    const { text, ...rest } = options;
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(rest)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function shape(tag, options = {}, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(options)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  function raster(image) {
    const data = new ImageData(W, H), plane = H * W;
    const low = state.stretch ? Math.min(...image) : 0, high = state.stretch ? Math.max(...image) : 1;
    const gain = 255 / Math.max(1e-6, high - low);
    for (let i = 0; i < plane; i++) {
      for (let c = 0; c < 3; c++) data.data[4 * i + c] = gain * (image[(C === 3 ? c * plane : 0) + i] - low);
      data.data[4 * i + 3] = 255;
    }
    return data;
  }

  function paint(canvas, image) {
    canvas.width = W;
    canvas.height = H;
    canvas.getContext("2d").putImageData(raster(image), 0, 0);
    return canvas;
  }

  /** The class and probability of a picture, as text with its colour beside it. */
  function says(picture) {
    const { k, p } = picture.top(state.target), mark = make("s");
    mark.style.background = colour(k);
    return make("span", { class: "says" }, mark, make("b", { text: about.classes[k] }), make("span", { text: percent(p) }));
  }

  function inWords(picture) {
    const { k, p } = picture.top(state.target);
    return `${about.classes[k]}, probability ${percent(p)}`;
  }

  const changed = (picture) => picture.top(state.target).k !== state.root.top(state.target).k;
  const along = (path) => path.reduce((picture, layer) => picture.decoded(layer), state.root);
  const end = () => along(state.path);
  const say = (text) => { byId("live").textContent = text; };

  // ---- picking an input ------------------------------------------------------------------------

  const most = Math.max(1e-9, ...about.inputs.map((input) => input.score));

  function labelOf(input) {
    return input.label ? about.classes[input.label[state.target]] : null;
  }

  function thumb(input) {
    const bar = make("b"), i = about.inputs.indexOf(input);
    bar.style.width = `${(100 * input.score) / most}%`;
    const truth = labelOf(input) === null ? "" : `, really ${labelOf(input)}`;
    const button = make("button", {
      type: "button", class: "thumb", "data-input": i, "aria-pressed": "false",
      "aria-label": `${named(input.name)}${truth}, ${about.score} ${input.score.toFixed(2)}`,
      title: `${named(input.name)}${truth} · ${about.score} ${input.score.toFixed(2)}`,
    }, paint(make("canvas"), input.image), make("i", {}, bar));
    button.onclick = () => pick(i);
    return button;
  }

  function gallery() {
    const of = (group) => about.inputs.filter((input) => input.group === group);
    const names = (inputs) => [...new Set(inputs.map((input) => input.name))];
    const place = byId("gallery");
    const row = (title, inputs) => inputs.length &&
      place.append(make("h3", { text: title }), make("div", { class: "thumbs" }, ...inputs.map(thumb)));
    row("Clean", of("clean"));
    row("Misread by f", of("mistakes"));
    const changes = [...of("corrupted"), ...of("adversarial")];
    if (changes.length) place.append(make("h3", { text: "The same, damaged or attacked" }), matrix([...of("clean"), ...changes], names([...of("clean"), ...changes]), changes));
    const foreign = of("outliers");
    if (foreign.length) place.append(make("h3", { text: "From another world" }), worlds(foreign, names(foreign)));
    if (about.kind === "glyph") place.append(make("h3", { text: "Your own" }), pad());
  }

  /** A row for each test input that was changed, a column for each change. */
  function matrix(inputs, names, changes) {
    const table = make("table"), rows = [...new Set(changes.map((input) => input.row))];
    const heads = names.map((name) => make("th", { scope: "col", text: named(name) }));
    table.append(make("thead", {}, make("tr", {}, ...heads)));
    for (const row of rows) {
      const cells = names.map((name) => inputs.find((input) => input.row === row && input.name === name));
      table.append(make("tr", {}, ...cells.map((input) => make("td", {}, thumb(input)))));
    }
    return table;
  }

  function worlds(inputs, names) {
    return make("table", {}, ...names.map((name) => make("tr", {},
      make("th", { scope: "row", text: name }),
      make("td", {}, make("div", { class: "thumbs" }, ...inputs.filter((input) => input.name === name).map(thumb))))));
  }

  /** A pad to write on; strokes are averaged over the pixels of the data set's raster. */
  function pad() {
    const canvas = make("canvas", { id: "pad", width: 16 * W, height: 16 * H, role: "img",
      "aria-label": "Pad to write on with a mouse, pen or finger" });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const wipe = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, canvas.width, canvas.height); };
    Object.assign(pen, { strokeStyle: "#fff", lineCap: "round", lineJoin: "round", lineWidth: Math.max(22, canvas.width / 11) });
    wipe();
    const at = (event) => [(event.offsetX / canvas.clientWidth) * canvas.width, (event.offsetY / canvas.clientHeight) * canvas.height];
    let down = false;
    canvas.onpointerdown = (event) => {
      down = true;
      canvas.setPointerCapture(event.pointerId);
      pen.beginPath();
      pen.moveTo(...at(event));
      canvas.onpointermove(event);
    };
    canvas.onpointermove = (event) => {
      if (!down) return;
      pen.lineTo(...at(event));
      pen.stroke();
    };
    canvas.onpointerup = () => { down = false; pickOwn(reduced(pen, canvas)); };
    const clear = make("button", { type: "button", text: "Wipe" });
    clear.onclick = wipe;
    return make("div", { class: "pad" }, canvas, make("div", {}, make("p", { class: "hint", text: "Write, as large as those above; f reads it when you lift the pen." }), clear));
  }

  function reduced(pen, canvas) {
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    const image = new Float32Array(SIZE), plane = H * W;
    for (let y = 0; y < 16 * H; y++)
      for (let x = 0; x < 16 * W; x++)
        image[(y >> 4) * W + (x >> 4)] += data[4 * (y * 16 * W + x)] / 255 / 256;
    for (let c = 1; c < C; c++) image.copyWithin(c * plane, 0, plane);
    return image;
  }

  function pickOwn(image) {
    const own = { group: "own", name: "your own", label: null, row: null, image };
    about.inputs[about.inputs.length - 1].group === "own" ? about.inputs.splice(-1, 1, own) : about.inputs.push(own);
    pick(about.inputs.length - 1);
  }

  function pick(i) {
    state.input = i;
    state.root = new Picture(about.inputs[i].image);
    state.path = [];
    state.past = [];
    chance = random(i + 1);
    for (const button of document.querySelectorAll(".thumb"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.input) === i));
    show();
    restartVotes();
    groups();
    say(`${about.inputs[i].name}: f says ${inWords(state.root)}`);
  }

  // ---- walking ---------------------------------------------------------------------------------

  function walk(path) {
    state.past.push(state.path);
    state.path = path;
    show();
    const where = path.length ? `after ${plural(path.length, "step")}` : "at the input";
    say(`${where}: f says ${inWords(end())}`);
  }

  function undo() {
    if (!state.past.length) return;
    state.path = state.past.pop();
    show();
    say(`undone: f says ${inWords(end())}`);
  }

  function show() {
    const picture = end();
    showNow(picture);
    showLayers(picture);
    showFilm();
    byId("back").disabled = byId("restart").disabled = !state.path.length;
    byId("undo").disabled = !state.past.length;
  }

  function showNow(picture) {
    const input = about.inputs[state.input], truth = labelOf(input);
    paint(byId("now"), picture.image).setAttribute("aria-label", `the last picture of the path: ${inWords(picture)}`);
    byId("now-text").replaceChildren(says(picture));
    const parts = [`${named(input.name)}${input.row === null ? "" : `, test input ${input.row}`}`];
    if (truth !== null) parts.push(`really ${truth}`);
    if (input.score !== undefined)
      parts.push(`${about.score} ${input.score.toFixed(2)} in the benchmark, ${usual(input.above)}`);
    byId("about-input").textContent = parts.join(" · ");
    const p = picture.probs.subarray(state.target * K, state.target * K + K);
    bars(byId("probs"), p, (v) => v.toFixed(3));
  }

  const usual = (above) =>
    above < 0.005 ? "as most clean inputs" : `above ${Math.floor(100 * above)} % of clean test inputs`;

  function bars(list, values, format, length = (v) => v) {
    const top = values.indexOf(Math.max(...values));
    if (list.children.length !== K) list.replaceChildren(...Array.from(values, (_, k) => {
      const bar = make("b");
      bar.style.background = colour(k);
      return make("li", {}, make("span", { text: about.classes[k] }), make("span", { class: "bar" }, bar), make("span"));
    }));
    values.forEach((v, k) => {
      const item = list.children[k];
      item.className = k === top && v > 0 ? "top" : "";
      item.querySelector("b").style.width = `${100 * length(v)}%`;
      item.lastChild.textContent = format(v);
    });
  }

  function showLayers(picture) {
    const place = byId("layers");
    if (!place.children.length) for (let l = 0; l < L; l++) {
      const tile = make("button", { type: "button", class: "tile" }, make("canvas"), make("small", { text: `g(${layerName(l)})` }), make("span"));
      tile.onclick = () => walk([...state.path, l]);
      place.append(tile);
    }
    for (let l = 0; l < L; l++) {
      const tile = place.children[l], decoded = picture.decoded(l);
      paint(tile.firstChild, decoded.image);
      tile.lastChild.replaceWith(says(decoded));
      tile.classList.toggle("changed", changed(decoded));
      tile.setAttribute("aria-label", `decoding of layer ${l + 1}: ${inWords(decoded)}`);
    }
  }

  function showFilm() {
    const place = byId("film"), inside = place.contains(document.activeElement);
    place.replaceChildren();
    let picture = state.root;
    for (let d = 0; d <= state.path.length; d++) {
      if (d) {
        picture = picture.decoded(state.path[d - 1]);
        place.append(make("span", { class: "step", text: `${layerName(state.path[d - 1])} →` }));
      }
      const last = d === state.path.length;
      const frame = make("button", { type: "button", class: `frame${changed(picture) ? " changed" : ""}`,
        "aria-label": `${d ? `step ${d}, through layer ${state.path[d - 1] + 1}` : "the input"}: ${inWords(picture)}` },
        paint(make("canvas"), picture.image), make("small", { text: d ? `x${String(d).replace(/\d/g, (c) => "₀₁₂₃₄₅₆₇₈₉"[c])}` : "x" }), says(picture));
      if (last) frame.setAttribute("aria-current", "step");
      frame.onclick = () => last || walk(state.path.slice(0, d));
      place.append(frame);
    }
    place.scrollLeft = place.scrollWidth;
    if (inside) place.lastChild.focus();
  }

  // ---- voting ----------------------------------------------------------------------------------

  function restartVotes(n = about.samples) {
    drawing += 1;
    votes = { counts: new Array(T * K).fill(0), curve: [], paths: [] };
    byId("wall").replaceChildren();
    showVotes();
    draw(n);
  }

  /** A path: at depth 1 each layer once, in order, as DecNN counts them; else random layers. */
  function nextPath() {
    if (state.depth === 1) return votes.paths.length < L ? [votes.paths.length] : null;
    return Array.from({ length: state.depth }, () => Math.floor(chance() * L));
  }

  function cast() {
    const path = nextPath();
    if (!path) return false;
    const last = along(path);
    for (let t = 0; t < T; t++) votes.counts[t * K + last.top(t).k] += 1;
    votes.paths.push(path);
    votes.curve.push(voteEntropy(votes.counts, votes.paths.length));
    byId("wall").append(strip(path, last));
    return true;
  }

  /** Let ``n`` more paths vote, a few a frame, unless another drawing has begun since. */
  function draw(n) {
    const mine = drawing, until = performance.now() + 14;
    while (n > 0 && performance.now() < until) n = cast() ? n - 1 : 0;
    showVotes();
    if (n > 0) requestAnimationFrame(() => mine === drawing && draw(n));
    else say(byId("verdict").textContent);
  }

  function strip(path, last) {
    const pictures = [state.root];
    for (const layer of path) pictures.push(pictures.at(-1).decoded(layer));
    const mark = Math.max(2, Math.round(W / 9)), gap = Math.max(1, Math.round(W / 16));
    const canvas = make("canvas", { width: pictures.length * (W + gap) - gap, height: H + 1 + mark });
    const pen = canvas.getContext("2d");
    pictures.forEach((picture, d) => {
      pen.putImageData(raster(picture.image), d * (W + gap), 0);
      pen.fillStyle = colour(picture.top(state.target).k);
      pen.fillRect(d * (W + gap), H + 1, W, mark);
    });
    const words = path.map((layer) => layer + 1).join(", ");
    const button = make("button", { type: "button", class: changed(last) ? "changed" : "",
      title: `through layers ${words}`, "aria-label": `path through layers ${words}: ends at ${inWords(last)}` }, canvas, says(last));
    button.onclick = () => {
      walk(path);
      byId("walk-title").scrollIntoView({ block: "start" });
    };
    return button;
  }

  function showVotes() {
    const n = votes.paths.length, counts = votes.counts.slice(state.target * K, state.target * K + K);
    bars(byId("votes"), counts, (v) => `${v}`, (v) => v / Math.max(1, n));
    byId("depth-text").textContent = String(state.depth);
    byId("draw").disabled = byId("one").disabled = state.depth === 1 && n >= L;
    byId("verdict").textContent = n ? verdict(n, counts) : "No path has voted.";
    curve(votes.curve);
  }

  function verdict(n, counts) {
    const top = counts.indexOf(Math.max(...counts)), now = votes.curve.at(-1);
    const mean = T > 1 ? `, mean over ${T} attributes` : "";
    const sides = counts.filter((c) => c).length;
    const split = sides === 1 ? "all agree" : `split over ${plural(sides, "class").replace("classs", "classes")}`;
    return `${plural(n, "path")}, ${split}: ${counts[top]} of ${n} say ${about.classes[top]}. ` +
      `Vote entropy ${now.toFixed(3)} nats${mean}, of ${Math.log(K).toFixed(2)} at most.`;
  }

  function curve(values) {
    const svg = byId("curve"), left = 34, right = 412, top = 10, bottom = 165;
    const last = Math.max(about.samples, values.length), high = Math.log(K);
    const x = (i) => left + ((right - left) * (i - 1)) / Math.max(1, last - 1);
    const y = (v) => bottom - ((bottom - top) * v) / high;
    svg.replaceChildren();
    for (const v of [0, high / 2, high]) {
      svg.append(shape("line", { x1: left, x2: right, y1: y(v), y2: y(v), stroke: "var(--line)" }),
        shape("text", { x: left - 5, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(1)));
    }
    for (const i of [1, Math.ceil(last / 2), last])
      svg.append(shape("text", { x: x(i), y: bottom + 16, "text-anchor": "middle" }, i));
    svg.append(shape("text", { x: right, y: y(high) - 3, "text-anchor": "end" }, "every class alike"));
    if (!values.length) return;
    const points = values.map((v, i) => `${x(i + 1)},${y(v)}`).join(" ");
    svg.append(shape("polyline", { points, fill: "none", stroke: "var(--accent)", "stroke-width": 2.5, "stroke-linejoin": "round" }),
      shape("circle", { cx: x(values.length), cy: y(values.at(-1)), r: 4, fill: "var(--accent)" }));
    svg.setAttribute("aria-label", `vote entropy ${values.at(-1).toFixed(3)} nats after ${plural(values.length, "path")}`);
  }

  // ---- side by side ----------------------------------------------------------------------------

  const GROUPS = { clean: "#3d8fd1", mistakes: "#7cb9e8", corrupted: "#1fa67c", adversarial: "#cf7fb0", outliers: "#e0732a" };

  function groups() {
    const svg = byId("groups"), measured = about.inputs.filter((input) => input.score !== undefined);
    const names = [...new Set(measured.map((input) => input.name))];
    const left = 130, right = 985, step = 25, x = (v) => left + ((right - left) * v) / most;
    svg.setAttribute("viewBox", `0 0 1000 ${step * names.length + 30}`);
    svg.replaceChildren();
    names.forEach((name, r) => {
      const y = 14 + r * step, inputs = measured.filter((input) => input.name === name), seen = new Map();
      svg.append(shape("line", { x1: left, x2: right, y1: y, y2: y, stroke: "var(--line)" }),
        shape("text", { x: left - 14, y: y + 4, "text-anchor": "end", class: "row" }, named(name)));
      for (const input of inputs) svg.append(dot(input, x(input.score), y, seen));
    });
    for (const v of [0, most / 2, most])
      svg.append(shape("text", { x: x(v), y: step * names.length + 24, "text-anchor": "middle" }, v.toFixed(2)));
    svg.setAttribute("aria-label", names.map((name) => `${name}: mean ${mean(measured.filter((i) => i.name === name)).toFixed(2)}`).join("; "));
  }

  const mean = (inputs) => inputs.reduce((sum, input) => sum + input.score, 0) / inputs.length;

  /** A dot for an input; those at the same place stand beside each other. */
  function dot(input, x, y, seen) {
    const place = Math.round(x / 9), before = seen.get(place) ?? 0, i = about.inputs.indexOf(input), now = i === state.input;
    seen.set(place, before + 1);
    const circle = shape("circle", { cx: x + 4 * before, cy: y, r: now ? 8 : 5, fill: GROUPS[input.group], "fill-opacity": 0.85,
      stroke: now ? "var(--ink)" : "var(--card)", "stroke-width": now ? 2.5 : 1 });
    circle.append(shape("title", {}, `${input.name} · ${about.score} ${input.score.toFixed(2)}`));
    circle.onclick = () => pick(i);
    return circle;
  }

  // ---- how well the page agrees with PyTorch ---------------------------------------------------

  function disagreement() {
    let worst = 0;
    for (const input of about.inputs.filter((one) => one.probs)) {
      const { probs } = new Picture(input.image);
      input.probs.forEach((p, i) => { worst = Math.max(worst, Math.abs(p - probs[i])); });
    }
    return worst;
  }

  // ---- the controls ----------------------------------------------------------------------------

  function theme(name) {
    document.documentElement.dataset.theme = name;
    byId("theme").textContent = name === "dark" ? "Light" : "Dark";
    byId("theme").onclick = () => theme(name === "dark" ? "light" : "dark");
  }

  function listen() {
    byId("back").onclick = () => walk(state.path.slice(0, -1));
    byId("restart").onclick = () => walk([]);
    byId("undo").onclick = undo;
    byId("stray").onclick = () => walk([...state.path, Math.floor(Math.random() * L)]);
    byId("draw").onclick = () => draw(about.samples);
    byId("one").onclick = () => draw(1);
    byId("clear").onclick = () => restartVotes(0);
    byId("depth").oninput = (event) => { state.depth = Number(event.target.value); restartVotes(); };
    byId("stretch").onchange = (event) => { state.stretch = event.target.checked; refresh(); };
    if (T > 1) byId("target").onchange = (event) => { state.target = Number(event.target.value); refresh(); };
    document.addEventListener("keydown", (event) => {
      if (event.target.matches("[type=range], select") || event.ctrlKey || event.altKey || event.metaKey) return;
      const layer = Number(event.key) - 1;
      if (Number.isInteger(layer) && layer >= 0 && layer < L) walk([...state.path, layer]);
      if (event.key === "Backspace" && state.path.length) walk(state.path.slice(0, -1));
    });
  }

  /** Show everything again, with the same votes. */
  function refresh() {
    show();
    byId("wall").replaceChildren(...votes.paths.map((path) => strip(path, along(path))));
    showVotes();
  }

  /** Where to begin: with the input that is read wrong and most unsure, so that there is much to see. */
  function first() {
    const unsure = about.inputs.filter((input) => input.group === "mistakes").sort((a, b) => b.score - a.score);
    return Math.max(0, about.inputs.indexOf(unsure[0]));
  }

  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  gallery();
  listen();
  pick(first());
  byId("agreement").textContent =
    `f as it runs here and in PyTorch differ by at most ${disagreement().toPrecision(2)} in any probability of any input of this page ` +
    `(weights stored as ${model.type}).`;

  /** For tests and the curious: probabilities along a path of layers from an input, (T * K). */
  window.explore = {
    inputs: about.inputs,
    walk: (input, path) => Array.from(path.reduce((p, l) => p.decoded(l), new Picture(about.inputs[input].image)).probs),
  };
})();
