"use strict";
(() => {
  const form = document.getElementById("filters");
  const rows = Array.from(document.querySelectorAll("[data-row]"));
  if (!form || rows.length === 0) return;
  const found = document.getElementById("found");
  const blocks = Array.from(document.querySelectorAll("[data-block]"));
  const wasOpen = new Map(blocks.map((block) => [block, block.open]));
  const chosen = (id) => document.getElementById(id)?.value ?? "";
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) {
      const title = row.closest("details.customer")?.querySelector("summary").textContent ?? "";
      texts.set(row, (title + " " + row.textContent).toLowerCase());
    }
    return texts.get(row);
  };
  const filter = () => {
    const words = chosen("words").toLowerCase().split(/\s+/).filter(Boolean);
    const [action, kind, cause] = ["action", "kind", "cause"].map(chosen);
    const heldOnly = document.getElementById("held-only").checked;
    const active = Boolean(words.length || action || kind || cause || heldOnly);
    let shown = 0;
    for (const row of rows) {
      const fits =
        (!action || row.dataset.action === action) &&
        (!kind || row.dataset.kind === kind) &&
        (!cause || row.dataset.cause.split(" ").includes(cause)) &&
        (!heldOnly || "held" in row.dataset) &&
        words.every((word) => textOf(row).includes(word));
      row.toggleAttribute("data-hidden", !fits);
      if (fits) shown += 1;
    }
    for (const block of blocks) {
      const has = block.querySelector("[data-row]:not([data-hidden])") !== null;
      block.toggleAttribute("data-hidden", active && !has);
      if (block.localName === "details") block.open = active ? has : wasOpen.get(block);
    }
    found.value = active ? `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows` : "";
  };
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  };
  form.hidden = false;
  form.addEventListener("input", soon);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("beforeprint", () => blocks.forEach((block) => block.localName === "details" && (block.open = true)));
})();
