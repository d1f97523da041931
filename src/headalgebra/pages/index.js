"use strict";
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// Tables: a button in each head sorts by its column, first up, then down; what is missing stays last.
const compare = (a, b) =>
  a.dataset.number && b.dataset.number
    ? a.dataset.number - b.dataset.number
    : a.textContent.localeCompare(b.textContent, "en", { numeric: true });
const sort = (button) => {
  const head = button.closest("th");
  const column = head.cellIndex;
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const body = head.closest("table").tBodies[0];
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (!a.textContent || !b.textContent) return !a.textContent - !b.textContent;
    return sign * compare(a, b);
  });
  body.append(...rows);
};
for (const button of all(".sortable th button")) button.onclick = () => sort(button);

// Claims: those of a verdict and of a paper.
const filters = document.querySelector(".filters");
const buttons = all("button", filters);
const paper = filters.querySelector("select");
const show = () => {
  const verdict = buttons.find((one) => one.ariaPressed === "true").dataset.verdict;
  let shown = 0;
  for (const section of all(".paper")) {
    const claims = all(".claim", section);
    for (const claim of claims) {
      claim.hidden =
        (verdict && claim.dataset.verdict !== verdict) ||
        (paper.value && section.dataset.paper !== paper.value);
    }
    const left = claims.filter((claim) => !claim.hidden).length;
    section.hidden = !left;
    shown += left;
  }
  filters.querySelector("[role=status]").textContent = `${shown} of ${all(".claim").length} claims`;
};
for (const button of buttons) {
  button.onclick = () => {
    for (const other of buttons) other.ariaPressed = other === button;
    show();
  };
}
paper.onchange = show;
filters.hidden = false;
show();

// A claim that is opened shows its figure, which the page holds once, under Figures.
for (const claim of all(".claim")) {
  claim.ontoggle = () => {
    for (const link of all("[data-picture]:not(:has(img))", claim)) {
      const copy = document.querySelector(`[id="figure-${link.dataset.picture}"] img`).cloneNode();
      copy.loading = "eager";
      link.replaceChildren(copy);
    }
  };
}
// A link to a claim opens it, whatever is filtered.
const arrive = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.matches("details")) return;
  if (target.hidden) {
    buttons[0].click();
    paper.value = "";
    show();
  }
  target.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", arrive);
arrive();
