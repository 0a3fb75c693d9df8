// The bowl of one weight and one bias for a feature that is shifted and scaled, and gradient descent down it.
const TURN = Array.from({ length: 121 }, (_, i) => i * Math.PI / 60);
const STEPS = 40;

export function draw(el, data, { slider, plot, readout }) {
  const chart = plot(el, { x: [-3, 3], y: [-3, 3], xlabel: "error of the weight", ylabel: "error of the bias" });
  const says = readout(el);
  const now = { shift: 0, scale: 1 };

  const update = () => {
    const delta = data.mean - now.shift;
    const top = (data.variance + delta * delta) / now.scale ** 2, side = delta / now.scale; // M = [[top, side], [side, 1]]
    const root = Math.sqrt((top - 1) ** 2 / 4 + side * side);
    const large = (top + 1) / 2 + root, small = (data.variance / now.scale ** 2) / large; // their product is det M
    const kappa = large / small, K = ((top + 1) / 2) ** 2 / (large * small);

    let w = 2, b = 2;
    const loss = top * w * w + 2 * side * w * b + b * b;
    const rate = 2 / (large + small), ws = [w], bs = [b];
    for (let step = 0; step < STEPS; step++) {
      [w, b] = [w - rate * (top * w + side * b), b - rate * (side * w + b)];
      ws.push(w), bs.push(b);
    }
    for (const share of [1, 0.25]) { // contours: the Cholesky factor of M carries them to circles
      const radius = Math.sqrt(share * loss), low = Math.sqrt(data.variance) / now.scale;
      const across = TURN.map(a => radius * Math.cos(a) / low);
      chart.curve(`contour ${share}`, across, TURN.map((a, i) => radius * Math.sin(a) - side * across[i]));
    }
    chart.curve("descent", ws, bs);
    chart.dots("steps", ws, bs);
    says(`Condition number ${kappa.toFixed(1)}, K ${K.toFixed(2)}, largest stable learning rate ${(2 / large).toFixed(2)}; ` +
      `the best rate multiplies the error by at most ${((kappa - 1) / (kappa + 1)).toFixed(2)} in each step.`);
  };
  slider(el, { label: "shift μ", min: -1, max: 5, step: 0.05, value: 0, format: v => v.toFixed(2) },
    value => { now.shift = value; update(); });
  slider(el, { label: "log of the scale s", min: -2, max: 2, step: 0.05, value: 0, format: v => v.toFixed(2) },
    value => { now.scale = Math.exp(value); update(); });
}
