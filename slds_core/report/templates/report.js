// Adds sorting, filtering, tooltips, a theme switch, and a navigation that follows. The page is complete without it.
"use strict";
(() => {
  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };

  // light or dark: the system's choice until the reader makes another
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const theme = make("button", { type: "button", class: "theme" });
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours"); };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  dark.addEventListener("change", label);
  label();
  document.querySelector(".masthead").append(theme);

  // the navigation marks the section that is being read
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const strip = document.querySelector("nav");
  const visible = new Set();
  const mark = () => {
    const current = [...links.keys()].find((id) => visible.has(id));
    if (!current) return;
    for (const [id, link] of links) {
      if (id !== current) link.removeAttribute("aria-current");
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "location");
        strip.scrollTo({ left: link.offsetLeft - strip.clientWidth / 3 });
      }
    }
  };
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    mark();
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const id of links.keys()) watch.observe(document.getElementById(id));

  // tables: sort by a column, filter by words
  const status = make("p", { class: "unseen", role: "status" });
  document.body.append(status);
  const entry = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" || text === "–" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", { type: "button", class: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [entry(row, column), row]);
        rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : falling ? compare(b, a) : compare(a, b)));
        body.append(...rows.map(([, row]) => row));
        status.textContent = `Sorted by ${button.textContent.trim()}, ${falling ? "falling" : "rising"}`;
      });
    });
    if (!("filter" in table.dataset)) continue;
    const field = make("input", { type: "search", id: `${table.id}-filter`, autocomplete: "off", spellcheck: "false", placeholder: "such as: notebook exact" });
    const count = make("span", { class: "count" });
    const box = make("div", { class: "filter" });
    box.append(make("label", { for: field.id }, "Show rows with"), field, count);
    table.closest(".scroll").before(box);
    const texts = new Map([...body.rows].map((row) => [row, row.textContent.toLowerCase()]));
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of texts) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${texts.size} rows`;
      status.textContent = words.length ? count.textContent : "";
    };
    field.addEventListener("input", filter);
    filter();
  }

  // tooltips, for the pointer and for the keyboard; Escape closes
  const tip = make("div", { class: "tip", role: "tooltip", id: "tip", hidden: "" });
  document.body.append(tip);
  const hide = () => { tip.hidden = true; document.querySelector("[aria-describedby=tip]")?.removeAttribute("aria-describedby"); };
  const show = (target) => {
    hide();
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    (target.querySelector("button") ?? target).setAttribute("aria-describedby", "tip");
    const place = target.getBoundingClientRect();
    const left = Math.min(Math.max(8, place.left), document.documentElement.clientWidth - tip.offsetWidth - 8);
    const below = place.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(below ? place.bottom + 6 : place.top - tip.offsetHeight - 6) + scrollY}px`;
  };
  for (const target of document.querySelectorAll("[data-tip]")) {
    target.addEventListener("pointerenter", () => show(target));
    target.addEventListener("pointerleave", hide);
    target.addEventListener("focusin", () => show(target));
    target.addEventListener("focusout", hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // a figure as SVG: what the page holds, with the ink of paper
  for (const link of document.querySelectorAll("a[data-inline]")) {
    link.addEventListener("click", (event) => {
      const drawing = link.closest("figure")?.querySelector("svg") ?? document.getElementById(link.dataset.of)?.querySelector("svg");
      if (!drawing) return;
      event.preventDefault();
      const copy = drawing.cloneNode(true);
      copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      copy.setAttribute("style", "color: #1f2328; font-family: sans-serif");
      const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
      make("a", { href: address, download: link.download }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
  }

  // what a link points to, and what goes to paper, is unfolded
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.model:not([open], .bulk)")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
})();
