// A panel's own script: clicks on its buttons become actions, and the keyboard's place is kept when
// the panel is drawn anew. `element`, `trigger` and `watch` come from gr.HTML.
let place = null;

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button || button.disabled) return;
  // A button that moves something says where it will be, so that the focus goes along.
  place = button.dataset.next || button.dataset.key;
  trigger("act", { act: button.dataset.act, value: button.dataset.value });
});

element.addEventListener("focusin", (event) => {
  const held = event.target.closest("[data-key]");
  place = held ? held.dataset.key : null;
});

element.addEventListener("focusout", (event) => {
  // The focus went to something else that is there; a button that was drawn away gives none.
  if (event.relatedTarget) place = null;
});

watch("value", () => {
  const active = document.activeElement;
  const elsewhere = active && active !== document.body && !element.contains(active);
  // A button may be drawn into another's place and keep the focus that was not its own.
  if (place === null || elsewhere || (active && active.dataset.key === place)) return;
  const keys = [...element.querySelectorAll("[data-key]")];
  let same = keys.find((button) => button.dataset.key === place);
  // Moved to an end, it can only move back.
  if (same && same.disabled) same = same.closest("li").querySelector(".q-tool:not(:disabled)");
  // What was removed or cleared has a neighbour of its kind, or a heading.
  const [act] = place.split(":");
  const alike = keys.filter((button) => button.dataset.act === act && !button.disabled);
  const next = same || alike[alike.length - 1] || element.querySelector("h2");
  if (next) next.focus({ preventScroll: true });
});
