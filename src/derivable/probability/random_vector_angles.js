// The density of the angle in any dimension, and the central band that holds 95 of 100 angles.
const POINTS = 721;

export function draw(el, data, { slider, plot, readout }) {
  const chart = plot(el, { x: [0, 180], y: [0, 0.12], xlabel: "angle (degrees)", ylabel: "density per degree" });
  const says = readout(el);
  const degrees = Array.from({ length: POINTS }, (_, i) => i * 180 / (POINTS - 1));
  slider(el, { label: "dimension n", min: 2, max: 512, value: 16 }, n => {
    const shape = degrees.map(d => d > 0 && d < 180 ? Math.exp((n - 2) * Math.log(Math.sin(d * Math.PI / 180))) : n === 2 ? 1 : 0);
    const width = 180 / (POINTS - 1);
    const mass = shape.reduce((sum, f) => sum + f, 0) * width;
    const density = shape.map(f => f / mass);
    chart.curve("density", degrees, density);
    let below = 0, low = 0;
    while (below + density[low] * width < 0.025) below += density[low++] * width;
    const edge = degrees[low];
    chart.curve("lower end", [edge, edge], [0, density[low]]);
    chart.curve("upper end", [180 - edge, 180 - edge], [0, density[low]]);
    says(`95 of 100 angles lie between ${edge.toFixed(1)}° and ${(180 - edge).toFixed(1)}°.`);
  });
}
