// Python for the live cells of one page.
// In: { task: "run" or "answer", cell, text }. Out: { state } as it goes on, then { html, failed, seconds }.

import { loadPyodide } from "../pyodide/pyodide.mjs";

// Started from its address this worker would be free of the page's policy; see startWorker in cells.js.
if (location.protocol !== "blob:") throw new Error("this worker starts from a text of the page");

const FILES = ["python/sympy.zip", "python/claims.zip", "live/cell.py"];

async function start() {
  postMessage({ state: "Loading Python…" });
  const contents = Promise.all(FILES.map(load));
  const pyodide = await loadPyodide();
  postMessage({ state: "Loading SymPy…" });
  for (const [name, bytes] of await contents) pyodide.FS.writeFile(name, bytes);
  pyodide.runPython("import sys; sys.path[:0] = ['.', 'sympy.zip', 'claims.zip']; import sympy");
  return pyodide.pyimport("cell");
}

async function load(path) {
  const response = await fetch(new URL(`../${path}`, import.meta.url));
  if (!response.ok) throw new Error(`${path} is missing`);
  return [path.split("/").pop(), new Uint8Array(await response.arrayBuffer())];
}

const python = start();

onmessage = async ({ data: { task, cell, text } }) => {
  const cells = await python;
  postMessage({ state: "running" });
  const begun = performance.now();
  const [html, failed] = cells[task](cell, text).toJs();
  postMessage({ html, failed, seconds: (performance.now() - begun) / 1000 });
};

// The page hears of an error, but not of a promise that nobody waits for.
python.catch(error => setTimeout(() => { throw error; }));
