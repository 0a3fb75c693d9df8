// A link to a claim or to a symbol shows, under the pointer or the keyboard's focus, what the claim says or the symbol
// means: its row in the ledger or in the notation. Escape hides the card, and the link itself still leads there.

const LINKS = `.bd-article a:is([href*="#claim-"], [href*="ledger.html#"][href*="--"], [href*="notation.html#"])`;
const PATIENCE = 250; // ms; time to move the pointer from the link to its card

const card = Object.assign(document.createElement("div"), { id: "card", className: "card-of-link", role: "tooltip" });
const pages = new Map(); // address -> its document, read at the first card that needs it
let shown = null; // the link that the card is for
let timer;

for (const link of document.querySelectorAll(LINKS)) {
  link.addEventListener("pointerenter", () => later(() => show(link)));
  link.addEventListener("pointerleave", () => later(hide));
  link.addEventListener("focus", () => show(link));
  link.addEventListener("blur", hide);
  // A formula alone is no name to those who listen; the anchor of its row is.
  const alone = link.querySelector(".math")?.textContent === link.textContent;
  if (alone && link.hash.startsWith("#symbol-")) link.ariaLabel = link.hash.slice(8).replaceAll("-", " ");
}
card.addEventListener("pointerenter", () => clearTimeout(timer));
card.addEventListener("pointerleave", () => later(hide));
document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });

function later(act) {
  clearTimeout(timer);
  timer = setTimeout(act, PATIENCE);
}

async function show(link) {
  clearTimeout(timer);
  if (shown === link) return;
  hide();
  shown = link;
  const content = await rowOf(new URL(link.href));
  if (shown !== link || !content.length) return;
  window.MathJax?.typesetClear?.([card]);
  card.replaceChildren(...content);
  link.closest(".bd-article").append(card);
  link.setAttribute("aria-describedby", card.id);
  await window.MathJax?.startup?.promise;
  await window.MathJax?.typesetPromise?.([card]);
  place(link);
}

function hide() {
  clearTimeout(timer);
  shown?.removeAttribute("aria-describedby");
  shown = null;
  card.remove();
}

// Below the line of the link, within the width of the text.
function place(link) {
  const [line] = link.getClientRects();
  const text = card.offsetParent.getBoundingClientRect();
  card.style.left = `${Math.max(0, Math.min(line.left - text.left, text.width - card.offsetWidth))}px`;
  card.style.top = `${line.bottom - text.top}px`;
}

// Copies of the paragraphs that say what the link means.
async function rowOf(url) {
  const claim = url.hash.match(/^#claim-(.+)/)?.[1];
  const chapter = url.pathname.split("/").pop().replace(".html", "");
  const page = claim ? new URL("../book/ledger.html", import.meta.url) : url;
  const row = (await read(page)).getElementById(claim ? `${chapter}--${claim}` : url.hash.slice(1))?.closest("tr");
  if (!row) return [];
  const cells = [...row.cells];
  const parts = page.pathname.endsWith("/notation.html")
    ? cells.slice(-2)
    : [...cells[0].querySelectorAll(":scope > p:nth-of-type(-n+2)"), ...cells[1].children];
  return parts.map(part => {
    const paragraph = document.createElement("p");
    paragraph.append(...document.importNode(part, true).childNodes);
    for (const inner of paragraph.querySelectorAll("a, [id]")) inner.replaceWith(...inner.childNodes);
    return paragraph;
  });
}

function read(page) {
  const address = page.origin + page.pathname;
  if (!pages.has(address)) {
    const text = fetch(address).then(response => (response.ok ? response.text() : ""));
    pages.set(address, text.then(html => new DOMParser().parseFromString(html, "text/html")));
  }
  return pages.get(address);
}
