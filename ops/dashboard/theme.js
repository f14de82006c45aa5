"use strict";
// Before anything is drawn, so that the page never flashes in the other colours.
try {
  const chosen = localStorage.getItem("argonaut.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* a browser that keeps nothing goes by its own setting */ }
