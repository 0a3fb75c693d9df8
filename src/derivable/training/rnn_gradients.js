// The gradient of an untrained LSTM against the lag, at any forget bias, next to what a constant forget gate keeps.
const UNITS = 16, STEPS = 60, LOWEST = -8;

const sigma = x => 1 / (1 + Math.exp(-x));

// Uniform numbers in (-1, 1) that are the same in every browser.
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const random = numbers(7888);
const U = Array.from({ length: 4 }, () => Array.from({ length: UNITS }, () => Array.from({ length: UNITS }, () => random() / Math.sqrt(UNITS))));
const inputs = Array.from({ length: STEPS }, () => Array.from({ length: UNITS }, random));

// One step forward; keeps what the step backward needs. Gates in the order i, f, g, o.
function forward({ h, c }, x, bias) {
  const z = U.map((block, gate) => block.map((row, j) => row.reduce((sum, u, k) => sum + u * h[k], bias[gate] + x[j])));
  const [i, f, g, o] = z.map((row, gate) => row.map(gate === 2 ? Math.tanh : sigma));
  const next = c.map((value, j) => f[j] * value + i[j] * g[j]);
  return { h: next.map((value, j) => o[j] * Math.tanh(value)), c: next, before: c, i, f, g, o };
}

// Rows v on (h, c) after the step become rows on (h, c) before it.
function backward({ vh, vc }, { c, before, i, f, g, o }) {
  const t = c.map(Math.tanh);
  const onC = vc.map((v, j) => v + vh[j] * o[j] * (1 - t[j] ** 2));
  const slopes = [
    onC.map((v, j) => v * g[j] * i[j] * (1 - i[j])), onC.map((v, j) => v * before[j] * f[j] * (1 - f[j])),
    onC.map((v, j) => v * i[j] * (1 - g[j] ** 2)), vh.map((v, j) => v * t[j] * o[j] * (1 - o[j])),
  ];
  const onH = h0 => slopes.reduce((sum, row, gate) => sum + row.reduce((s, v, j) => s + v * U[gate][j][h0], 0), 0);
  return { vh: vh.map((_, k) => onH(k)), vc: onC.map((v, j) => v * f[j]) };
}

// log10 of the norm of d<1, c_T> / dc_(T - lag), relative to lag 0.
function profile(forgetBias, inputBias) {
  const zero = Array(UNITS).fill(0), steps = [];
  let state = { h: zero, c: zero };
  for (const x of inputs) steps.push(state = forward(state, x, [inputBias, forgetBias, 0, 0]));
  let v = { vh: zero, vc: Array(UNITS).fill(1) };
  const logs = [0];
  for (const step of steps.reverse()) {
    v = backward(v, step);
    logs.push(Math.log10(Math.hypot(...v.vc) / Math.sqrt(UNITS)));
  }
  return logs;
}

export function draw(el, data, { slider, plot, readout }) {
  const chart = plot(el, { x: [0, STEPS], y: [LOWEST, 2], xlabel: "lag", ylabel: "log10 of what is left" });
  const says = readout(el);
  const lags = Array.from({ length: STEPS + 1 }, (_, lag) => lag);
  let bias = 1, closed = 0;
  const update = () => {
    const rate = Math.log1p(Math.exp(-bias));
    const logs = profile(bias, closed ? -bias : 0);
    chart.curve("LSTM", lags, logs);
    chart.curve("constant gate", lags, lags.map(lag => -lag * rate / Math.LN10), { dashed: true });
    says(`Dashed: a constant forget gate, halved after ${(Math.LN2 / rate).toFixed(1)} steps. ` +
      `Solid: the LSTM, ${(10 ** (logs[STEPS] / STEPS)).toFixed(3)} per step; the gate alone keeps ${Math.exp(-rate).toFixed(3)}.`);
  };
  slider(el, { label: "forget bias b", min: 0, max: 6, step: 0.25, value: bias, format: b => b.toFixed(2) }, b => { bias = b; update(); });
  slider(el, { label: "input bias", min: 0, max: 1, value: closed, format: k => k ? "−b" : "0" }, k => { closed = k; update(); });
}
