// A distribution, the nearest one with the chosen entropy, and the reversed one with the same entropy.
const STEPS = 80;

function power(p, t) {
  const logits = p.map(v => t * Math.log(v)), top = Math.max(...logits);
  const weights = logits.map(l => Math.exp(l - top)), total = weights.reduce((a, b) => a + b, 0);
  return weights.map(w => w / total);
}

const entropy = q => -q.reduce((sum, v) => sum + (v > 0 ? v * Math.log(v) : 0), 0);
const divergence = (q, p) => q.reduce((sum, v, i) => sum + (v > 0 ? v * Math.log(v / p[i]) : 0), 0);

// The exponent of that sign whose power has entropy `target`: the entropy falls away from 0 on both sides.
function exponent(p, target, sign) {
  let low = 0, high = 1;
  while (entropy(power(p, sign * high)) > target) high *= 2;
  for (let i = 0; i < STEPS; i++) {
    const middle = (low + high) / 2;
    if (entropy(power(p, sign * middle)) > target) low = middle; else high = middle;
  }
  return sign * (low + high) / 2;
}

export function draw(el, { p }, { slider, plot, readout }) {
  const chart = plot(el, { x: [0.4, p.length + 0.6], y: [0, 1], xlabel: "state", ylabel: "probability" });
  const says = readout(el);
  const bars = (name, q, from, to, style) => chart.curve(name,
    q.flatMap((_, i) => [i + 1 + from, i + 1 + from, i + 1 + to, i + 1 + to]), q.flatMap(v => [0, v, v, 0]), style);
  bars("p", p, -0.42, 0.42);
  slider(el, { label: "entropy in nats", min: 0.05, max: 2.05, step: 0.05, value: 1.2, format: h => h.toFixed(2) }, target => {
    const [near, far] = [1, -1].map(sign => exponent(p, target, sign));
    const [nearest, farthest] = [near, far].map(t => power(p, t));
    bars("nearest", nearest, -0.34, 0);
    bars("reversed", farthest, 0.04, 0.34, { dashed: true });
    says(`Blue: p, entropy ${entropy(p).toFixed(3)}. Red: exponent ${near.toFixed(3)}, divergence ${divergence(nearest, p).toFixed(3)}. ` +
      `Green, dashed: exponent ${far.toFixed(3)}, divergence ${divergence(farthest, p).toFixed(3)}.`);
  });
}
