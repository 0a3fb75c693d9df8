// Live cells: Run, Edit, Reset and Stop on the derivations of a page, and Check on its exercises.
//
// The page's cells share one Python, in a worker that starts at the first Run. A cell first runs the earlier cells that
// have not run. Stop, and the time limit, end the worker; the next Run starts another.

const TIME_LIMIT = 60; // seconds

const cells = [...document.querySelectorAll(".cell.tag_live, .cell.tag_exercise")].map(addControls);
const ran = new Set(); // the cells that the present worker has run
let worker = null;
let abandon = null; // ends what runs now, giving the reason; null when nothing runs

function addControls(el, number) {
  const input = el.querySelector(".cell_input");
  const cell = {
    el, number, input,
    source: input.querySelector("pre").textContent,
    stored: el.querySelector(".cell_output"),
    exercise: el.classList.contains("tag_exercise"),
    bar: make("div", { className: "live-bar" }),
    result: make("div", { className: "cell_output live-result", hidden: true }),
    status: make("span", { className: "live-status", role: "status" }),
    stop: make("button", { type: "button", textContent: "Stop", hidden: true, onclick: () => abandon?.("Stopped.") }),
  };
  if (cell.exercise) addCheck(cell);
  else addRun(cell);
  cell.bar.append(cell.stop, cell.status);
  el.append(cell.result);
  return cell;
}

function addRun(cell) {
  const button = (textContent, onclick) => make("button", { type: "button", textContent, onclick });
  cell.start = button("Run", () => start(cell, () => run(cell)));
  cell.reset = button("Reset", () => reset(cell));
  cell.reset.hidden = true;
  cell.bar.append(cell.start, button("Edit", () => edit(cell)), cell.reset);
  cell.input.after(cell.bar);
}

function addCheck(cell) {
  const input = make("input", { type: "text", required: true, spellcheck: false, autocomplete: "off", autocapitalize: "off" });
  const label = make("label", { textContent: "Your answer " });
  const form = make("form", { className: "live-answer", onsubmit: event => {
    event.preventDefault();
    start(cell, () => check(cell, input.value));
  } });
  label.append(input);
  form.append(label, make("button", { textContent: "Check" }));
  cell.bar.append(form);
  cell.el.append(cell.bar);
}

function edit(cell) {
  if (!cell.editor) {
    const fit = () => { cell.editor.rows = cell.editor.value.split("\n").length; };
    cell.editor = make("textarea", {
      className: "live-editor", value: cell.source.trimEnd(), spellcheck: false, autocapitalize: "off", oninput: fit,
      ariaLabel: "Code of this cell. Escape leaves it, Control and Enter run it.",
      onkeydown: event => {
        if (event.key === "Escape") cell.start.focus();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) cell.start.click();
      },
    });
    fit();
    cell.input.append(cell.editor);
    cell.el.classList.add("live-edited");
    cell.reset.hidden = false;
  }
  cell.editor.focus();
}

function reset(cell) {
  cell.editor?.remove();
  cell.editor = null;
  cell.el.classList.remove("live-edited");
  ran.delete(cell);
  cell.result.hidden = cell.reset.hidden = true;
  if (cell.stored) cell.stored.hidden = false;
  say(cell, "As printed.");
  cell.start.focus();
}

// Do the work after the cells above; only one thing runs at a time on a page.
async function start(cell, work) {
  if (abandon) return;
  abandon = () => {};
  cell.stop.hidden = false;
  say(cell, "Starting…");
  try {
    for (const above of cells.slice(0, cell.number).filter(above => !ran.has(above))) {
      const { failed } = await ask(cell, "run", above);
      if (failed) throw "A cell above this one fails: run that one first.";
    }
    await work();
  } catch (reason) {
    say(cell, reason);
  }
  cell.stop.hidden = true;
  abandon = null;
}

async function run(cell) {
  await show(cell, await ask(cell, "run", cell));
  cell.reset.hidden = false;
  if (cell.stored) cell.stored.hidden = true;
}

async function check(cell, text) {
  if (!ran.has(cell)) await ask(cell, "run", cell);
  await show(cell, await ask(cell, "answer", cell, text));
}

// A worker that is started from a text of the page is bound by the page's Content-Security-Policy; one that is started
// from an address would be bound by nothing, and what a reader pastes into a cell could ask any host.
function startWorker() {
  const program = new Blob([`import "${new URL("worker.js", import.meta.url)}";`], { type: "text/javascript" });
  const address = URL.createObjectURL(program);
  const started = new Worker(address, { type: "module" });
  started.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
  return started;
}

// Have the worker run a cell, or check an answer to it; `cell` is the one whose button was pressed.
function ask(cell, task, about, text = about.editor?.value ?? about.source) {
  worker ??= startWorker();
  return new Promise((resolve, reject) => {
    let limit;
    abandon = reason => {
      clearTimeout(limit);
      worker.terminate();
      worker = null;
      ran.clear();
      reject(reason);
    };
    worker.onerror = () => abandon("Python could not be loaded.");
    worker.onmessage = ({ data }) => {
      if (data.state === "running") {
        limit = setTimeout(() => abandon(`Stopped after ${TIME_LIMIT} seconds.`), TIME_LIMIT * 1000);
        say(cell, about === cell ? "Running…" : "Running the cells above…");
      } else if (data.state) {
        say(cell, data.state);
      } else {
        clearTimeout(limit);
        if (!data.failed) ran.add(about);
        resolve(data);
      }
    };
    worker.postMessage({ task, cell: about.number, text });
  });
}

async function show(cell, { html, failed, seconds }) {
  window.MathJax?.typesetClear?.([cell.result]);
  cell.result.innerHTML = html;
  cell.result.hidden = false;
  cell.result.classList.toggle("live-failed", failed);
  await window.MathJax?.startup.promise;
  await window.MathJax?.typesetPromise([cell.result]);
  cell.result.dispatchEvent(new CustomEvent("typeset", { bubbles: true }));
  say(cell, failed ? "Refused: see below." : `Done in ${seconds.toFixed(1)} s.`);
}

function say(cell, text) {
  cell.status.textContent = text;
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
