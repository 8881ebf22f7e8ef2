/** The server's health in the corner, and the banner while it cannot be reached: it tries again by itself. */

import { h, replace } from "./dom.js";
import { counted } from "./format.js";

const CALM = 15; // seconds between two looks while all is well
const WAITS = [2, 4, 8, 15]; // seconds between tries while it is not

/**
 * @param {{ask: () => Promise<any>, onReturn: () => void}} options `onReturn`: the server is back, load again what failed
 */
export function watchHealth({ ask, onReturn }) {
  const corner = document.getElementById("health");
  const banner = document.getElementById("banner");
  let failed = 0;
  let timer = 0;
  let looking = false;

  async function look() {
    if (looking) return;
    looking = true;
    clearTimeout(timer);
    try {
      showHealth(corner, banner, await ask());
      if (failed) onReturn();
      failed = 0;
    } catch (error) {
      failed += 1;
      corner.dataset.state = "offline";
      replace(corner, "offline");
      tellAndWait(error);
    }
    looking = false;
    if (!failed) timer = setTimeout(() => (document.hidden ? wait() : look()), 1000 * CALM);
  }

  function wait() {
    document.addEventListener("visibilitychange", look, { once: true });
  }

  function tellAndWait(error) {
    let left = WAITS[Math.min(failed, WAITS.length) - 1];
    const count = h("span", { "aria-hidden": "true" }); // a number that changes every second is not read out
    const now = h("button", { type: "button", onclick: look }, "Try now");
    replace(banner, h("p", {}, error.message, " ", count), now);
    const tick = () => {
      count.textContent = `Trying again in ${left} s.`;
      left -= 1;
      timer = setTimeout(left < 0 ? look : tick, 1000);
    };
    tick();
  }

  addEventListener("workbench:offline", () => !failed && look());
  look();
}

function showHealth(corner, banner, health) {
  const busy = health.running + health.waiting;
  corner.dataset.state = health.status;
  corner.title = `${health.model} · workbench ${health.version} · ${health.running} running, ${health.waiting} waiting, ${counted(health.slots, "slot")}`;
  replace(corner, h("span", { class: "model" }, health.model), busy ? ` · ${busy} busy` : "");
  replace(banner, health.status === "draining" ? h("p", {}, "The server is shutting down: it ends what runs and takes nothing new.") : null);
}
