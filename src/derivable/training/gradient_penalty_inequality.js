// How tight the three bounds are on fresh tanh networks [10, n, n, 1], against the width n, for any gain of the weights.
const INPUTS = 10, DEPTH = 3, NETS = 5, POWERS = 30;

export function draw(el, data, { slider, plot, readout }) {
  const chart = plot(el, { x: [0, 6], y: [0, 1], xlabel: "log₂ of the width", ylabel: "tightness" });
  const says = readout(el);
  const logs = [0, 1, 2, 3, 4, 5, 6];
  slider(el, { label: "gain of the weights", min: 0.1, max: 3, step: 0.1, value: 0.6, format: g => g.toFixed(1) }, gain => {
    const medians = logs.map(log => medianTightness(2 ** log, gain));
    ["product", "spectral", "frobenius"].forEach((kind, i) => chart.curve(kind, logs, medians.map(m => m[i]), { dashed: i > 0 }));
    const [product, spectral, frobenius] = medians.at(-1);
    says(`Width 64: one norm ${product.toFixed(2)}, split spectral ${spectral.toFixed(3)}, split Frobenius ${frobenius.toFixed(4)}.`);
  });
}

function medianTightness(width, gain) {
  const random = generator(8796);
  const values = Array.from({ length: NETS }, () => tightness(width, gain, random));
  return [0, 1, 2].map(kind => values.map(v => v[kind]).sort((a, b) => a - b)[(NETS - 1) / 2]);
}

// One net and one input: c ||grad_x f||² / ||grad_theta f||² for the three factors c.
function tightness(width, gain, random) {
  const widths = [INPUTS, width, width, 1];
  let h = Array.from({ length: INPUTS }, () => normal(random));
  let jacobian = h.map((_, i) => h.map((_, j) => Number(i === j)));
  const layers = [];
  for (let t = 0; t < DEPTH; t++) {
    const uniform = scale => (2 * random() - 1) * scale / Math.sqrt(widths[t]);
    const weight = Array.from({ length: widths[t + 1] }, () => h.map(() => uniform(gain * Math.sqrt(3))));
    const step = weight.map(row => jacobian[0].map((_, j) => row.reduce((sum, w, k) => sum + w * jacobian[k][j], 0)));
    const next = weight.map(row => Math.tanh(dot(row, h) + uniform(1)));
    layers.push({ weight, seen: 1 + dot(h, h), next, split: norm(weight) * norm(jacobian), one: norm(step),
      frobenius: squares(weight) * squares(jacobian) });
    jacobian = step.map((row, i) => row.map(v => v * (1 - next[i] ** 2)));
    h = next;
    if (t === DEPTH - 1) layers.gradient = squares(step); // the last activation is the identity
  }
  let delta = [1], total = 0;
  for (let t = DEPTH - 1; t >= 0; t--) {
    total += layers[t].seen * dot(delta, delta);
    if (t > 0) {
      const { weight } = layers[t], slopes = layers[t - 1].next.map(v => 1 - v * v);
      delta = slopes.map((s, j) => s * delta.reduce((sum, d, i) => sum + d * weight[i][j], 0));
    }
  }
  const factors = [l => l.one ** 2, l => l.split ** 2, l => l.frobenius];
  return factors.map(f => layers.reduce((sum, l) => sum + l.seen / f(l), 0) * layers.gradient / total);
}

// The largest singular value, by the power method.
function norm(matrix) {
  let v = matrix[0].map((_, j) => 1 + 0.1 * Math.sin(j)), length = 0;
  for (let step = 0; step < POWERS; step++) {
    const image = matrix.map(row => dot(row, v));
    v = v.map((_, j) => matrix.reduce((sum, row, i) => sum + row[j] * image[i], 0));
    length = Math.sqrt(dot(v, v)) || 1;
    v = v.map(c => c / length);
  }
  return Math.sqrt(length);
}

function dot(a, b) {
  return a.reduce((sum, v, i) => sum + v * b[i], 0);
}

function squares(matrix) {
  return matrix.reduce((sum, row) => sum + dot(row, row), 0);
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// mulberry32
function generator(seed) {
  return () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let z = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}
