/**
 * The colour scheme that was chosen, set before the first paint. Not a module: a module would run too late, and flash.
 * What is chosen is kept in localStorage; nothing kept: as the system says.
 */
(() => {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];

  function stored() {
    try {
      return localStorage.getItem("workbench-theme") ?? "system";
    } catch {
      return "system"; // storage is forbidden here: follow the system
    }
  }

  function apply(theme) {
    root.dataset.theme = themes.includes(theme) ? theme : "system";
  }

  function store(theme) {
    apply(theme);
    try {
      localStorage.setItem("workbench-theme", theme);
    } catch {
      // Storage is forbidden here: the choice lasts until the page is left.
    }
  }

  apply(stored());
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => {
      const theme = root.dataset.theme;
      button.textContent = { system: "Auto", light: "Light", dark: "Dark" }[theme];
      button.setAttribute("aria-label", `${button.textContent}: colour scheme, press to change`);
    };
    name();
    button.addEventListener("click", () => {
      store(themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length]);
      name();
    });
  });
})();
