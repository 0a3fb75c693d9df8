// What a figure that moves is drawn with, in JupyterLab and in the rendered book.
//
// A figure is one ES module, src/derivable/<part>/<topic>.js:
//
//   export function draw(el, data, { slider, plot, readout }) {
//     const chart = plot(el, { x: [0, 1], y: [0, 4], xlabel: "angle", ylabel: "density" });
//     const says = readout(el);
//     slider(el, { label: "dimension", min: 2, max: 100, value: 3 }, n => {
//       chart.curve("density", xs, xs.map(x => density(x, n)));
//       says(`The standard deviation is ${deviation(n).toFixed(3)}.`);
//     });
//   }
//
// `data` is what Python gave to figures.show. Curves are functions of the slider evaluated here, never frames.

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#BF6F9B", "#A87400", "#767676"]; // as in figures.py
const HEIGHT = 340, LEFT = 62, RIGHT = 14, TOP = 14, BOTTOM = 48;

// A labelled slider, a native input; calls onInput with its value now and at each change.
export function slider(el, { label, min, max, step = 1, value, format = String }, onInput) {
  const row = add(el, "label", { class: "figure-slider", style: "display: flex; gap: 0.75em; align-items: center" });
  add(row, "span", {}, label);
  const input = add(row, "input", { type: "range", min, max, step, style: "flex: 1; min-width: 6em" });
  input.dataset.lmSuppressShortcuts = "true"; // in JupyterLab the arrow keys are the slider's, not the notebook's
  const shown = add(row, "output", { style: "min-width: 4em; font-variant-numeric: tabular-nums" });
  const update = () => {
    shown.textContent = format(input.valueAsNumber);
    input.setAttribute("aria-valuetext", shown.textContent);
    onInput(input.valueAsNumber);
  };
  input.value = value;
  input.addEventListener("input", update);
  update();
}

// A line of text below the figure that says what it shows now; returns the function that sets it.
export function readout(el) {
  const line = add(el, "output", { class: "figure-readout", style: "display: block" });
  return text => { line.textContent = text; };
}

// A chart with two linear axes over the ranges x and y. What is drawn under a name replaces what had that name.
export function plot(el, { x, y, xlabel, ylabel }) {
  const width = Math.max(320, Math.min(600, el.clientWidth)); // drawn at its size, so that text is as large on a phone
  const svg = add(el, "svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${ylabel} against ${xlabel}`, fill: "none",
    style: "width: 100%; max-width: 600px; height: auto; display: block; font-size: 14px",
  });
  const across = v => LEFT + (v - x[0]) / (x[1] - x[0]) * (width - LEFT - RIGHT);
  const up = v => HEIGHT - BOTTOM - (v - y[0]) / (y[1] - y[0]) * (HEIGHT - TOP - BOTTOM);
  const text = (tx, ty, content, more) => add(svg, "text", { x: tx, y: ty, fill: "currentColor", ...more }, content);

  add(svg, "path", { d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${width - RIGHT}`, stroke: "currentColor" });
  for (const t of ticks(x)) text(across(t), HEIGHT - BOTTOM + 18, t, { "text-anchor": "middle" });
  for (const t of ticks(y)) text(LEFT - 8, up(t) + 5, t, { "text-anchor": "end" });
  text((LEFT + width - RIGHT) / 2, HEIGHT - 8, xlabel, { "text-anchor": "middle" });
  text(0, 0, ylabel, { "text-anchor": "middle", transform: `translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)` });

  const inside = add(svg, "svg", { x: 0, y: TOP, width: width, height: HEIGHT - TOP - BOTTOM,
    viewBox: `0 ${TOP} ${width} ${HEIGHT - TOP - BOTTOM}` }); // clips what leaves the range
  const drawn = new Map();
  const path = (name, d, dashes) => {
    if (!drawn.has(name)) {
      const stroke = COLOURS[drawn.size % COLOURS.length];
      drawn.set(name, add(inside, "path", { stroke, "stroke-width": 2.5, "stroke-dasharray": dashes }));
    }
    drawn.get(name).setAttribute("d", d);
  };
  return {
    curve: (name, xs, ys, { dashed = false } = {}) => {
      const points = xs.map((v, i) => `${across(v).toFixed(1)} ${up(ys[i]).toFixed(1)}`);
      path(name, "M" + points.join("L"), dashed ? "6 4" : "none");
    },
    rule: (name, at) => path(name, `M${across(at).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}`, "2 4"),
    dots: (name, xs, ys) => {
      const circle = (v, i) => `M${across(v) - 3} ${up(ys[i])}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`;
      path(name, xs.map(circle).join(""), "none");
    },
  };
}

// Draws the figure of the module at this address; `alt` says what it shows.
export async function show(url, el, data, alt) {
  const { draw } = await import(url);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", alt);
  draw(el, data, { slider, plot, readout });
}

// JupyterLab's entry (anywidget): the figure's module arrives as text.
export async function render({ model, el }) {
  const url = URL.createObjectURL(new Blob([model.get("source")], { type: "text/javascript" }));
  el.style.color = "var(--jp-content-font-color1, inherit)";
  await show(url, el, model.get("data"), model.get("alt"));
}

function ticks([low, high]) {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(k => k * power >= rough);
  const first = Math.ceil(low / step), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

function add(parent, tag, attributes, content = "") {
  const space = ["svg", "path", "text"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  const { style = "", ...rest } = attributes;
  for (const [name, value] of Object.entries(rest)) node.setAttribute(name, value);
  node.style.cssText = style;
  node.textContent = content;
  return parent.appendChild(node);
}
