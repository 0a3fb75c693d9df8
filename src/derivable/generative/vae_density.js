// The exact gap log p(x) - L_K for posterior N(0, 1) and encoder N(0, q), by Frullani's integral, against K.
const HALF = 10, NODES = 401, STEP = 0.25, POWERS = 9;
const eps = Array.from({ length: NODES }, (_, i) => (i / (NODES - 1) * 2 - 1) * HALF);
const mass = eps.reduce((sum, e) => sum + Math.exp(-e * e / 2), 0);
const chance = eps.map(e => Math.exp(-e * e / 2) / mass);

function gap(q, K) {
  const logs = eps.map(e => Math.log(q) / 2 + (1 - q) * e * e / 2);
  const logMean = Math.log(logs.reduce((sum, l, i) => sum + chance[i] * Math.exp(l), 0)); // 0 up to the cut tails
  const ratios = logs.map(l => Math.exp(l - logMean));
  const end = Math.log(40 * K) - Math.log(Math.min(...ratios));
  let total = 0;
  for (let t = -45; t < end; t += STEP) {
    const s = Math.exp(t) / K;
    let lost = 0; // 1 - phi(s / K)
    for (let i = 0; i < NODES; i++) lost -= chance[i] * Math.expm1(-s * ratios[i]);
    total += Math.exp(-Math.exp(t)) - Math.exp(K * Math.log1p(-Math.min(lost, 1)));
  }
  return -STEP * total - logMean;
}

export function draw(el, data, { slider, plot, readout }) {
  const chart = plot(el, { x: [0, 4.9], y: [-6, 0.5], xlabel: "log10 of the draws K", ylabel: "log10 of the gap" });
  const says = readout(el);
  const counts = Array.from({ length: POWERS }, (_, i) => 4 ** i);
  const across = counts.map(Math.log10);
  slider(el, { label: "encoder variance q", min: 0.1, max: 3, step: 0.05, value: 0.4, format: q => q.toFixed(2) }, q => {
    const matched = Math.abs(q - 1) < 1e-9;
    chart.curve("gap", across, counts.map(K => matched ? -20 : Math.log10(Math.max(gap(q, K), 1e-20))));
    const v = q > 0.5001 ? q / Math.sqrt(2 * q - 1) - 1 : Infinity;
    const finite = v < Infinity && !matched;
    chart.curve("v/(2K)", finite ? across : [0, 0], finite ? counts.map(K => Math.log10(v / (2 * K))) : [-20, -20], { dashed: true });
    says(matched ? "The encoder is the posterior: no gap at all." : v < Infinity
      ? `The weights have variance ${v.toPrecision(3)}; dashed: v/(2K).`
      : "The weights have infinite variance: the gap falls more slowly than 1/K.");
  });
}
