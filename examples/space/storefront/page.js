// Light or dark: the visitor's choice, else the system's.
(() => {
  const KEY = "qbert4rec-light";
  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const apply = () => {
    const wanted = chosen();
    if (wanted) document.body.classList.toggle("dark", wanted === "dark");
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#q-light")) return;
    const wanted = document.body.classList.contains("dark") ? "light" : "dark";
    try {
      localStorage.setItem(KEY, wanted);
    } catch {
      // A browser that keeps nothing: the choice holds for this visit.
    }
    document.body.classList.toggle("dark", wanted === "dark");
  });
  // Gradio sets the class of the body by the system's wish, at a time of its own.
  const start = () => {
    apply();
    new MutationObserver(apply).observe(document.body, {
      attributes: true,
      attributeFilter: ["class"],
    });
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
