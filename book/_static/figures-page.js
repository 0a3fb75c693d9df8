// The figures that move, in the page: the same modules and the same kit as in JupyterLab.

import { show } from "./figures/figures.js";

for (const still of document.querySelectorAll(".moving")) {
  const { moving, values, alt } = still.dataset;
  const drawing = document.createElement("div");
  drawing.className = "moving-drawing";
  still.before(drawing);
  await show(new URL(`figures/${moving}.js`, import.meta.url), drawing, JSON.parse(values), alt);
  still.classList.add("moving-still");
}
