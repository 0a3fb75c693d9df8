// What scrolls sideways can be reached with the keyboard: it becomes a stop for Tab while it is too wide for its box.

const BOXES = `div.math, span.math, .claim-domain, .claim-lhs, .claim-rhs, table.ledger td p,
  .pst-scrollable-table-container, .bd-article pre, .cell_output > .output, .live-result`;

const observer = new ResizeObserver(entries => entries.forEach(({ target }) => update(target)));

function update(box) {
  const tooWide = () => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX === "auto";
  if (box.matches(".claim-lhs, .claim-rhs")) {
    const claim = box.closest(".claim");
    if (tooWide()) claim.classList.add("claim-wide");
    if (tooWide()) claim.classList.add("claim-stacked");
  }
  const wide = tooWide();
  box.toggleAttribute("data-scrolls", wide);
  if (wide) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

function watch(within) {
  for (const box of within.querySelectorAll(BOXES)) {
    observer.observe(box);
    update(box);
  }
}

await window.MathJax?.startup?.promise;
watch(document);
document.addEventListener("typeset", event => watch(event.target));
