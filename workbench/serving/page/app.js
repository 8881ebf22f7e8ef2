/**
 * The frame: which page is shown (by the address's hash, so that back and links work), the key, the server's health.
 * Each page is a function `show(place, {parts, query, signal})`; `signal` is aborted when the page is left.
 */

import { getJson, storeKey } from "./api.js";
import { askForKey } from "./dialog.js";
import { h, replace } from "./dom.js";
import { forget, isSignedIn, whoAmI } from "./session.js";
import { showAsk } from "./ask.js";
import { showCollections } from "./collections.js";
import { showRuns } from "./runs.js";
import { showTrain } from "./train.js";
import { watchHealth } from "./health.js";

const PAGES = { ask: showAsk, collections: showCollections, runs: showRuns, train: showTrain };
const main = document.getElementById("main");
let leaving = new AbortController();
let keyDialogIsOpen = false;

/** "#/runs/tiny?x=1" → its page, the parts after it and the query. @param {string} hash */
function parse(hash) {
  const [where, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page, ...parts] = where.split("/").map(decode);
  return { page: page || "ask", parts: parts.filter(Boolean), query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a lone % typed by hand
  }
}

/** Show what the address says. @param {{focus: boolean}} options */
function route({ focus }) {
  const { page, parts, query } = parse(location.hash);
  leaving.abort();
  leaving = new AbortController();
  if (!keyDialogIsOpen) document.querySelectorAll("dialog").forEach((dialog) => dialog.close()); // the back button leaves them
  for (const link of document.querySelectorAll("nav [data-page]")) {
    if (/** @type {HTMLElement} */ (link).dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = h("div", { class: "page" });
  main.dataset.page = page;
  replace(main, place);
  const show = PAGES[page];
  if (show) show(place, { parts, query, signal: leaving.signal });
  else replace(place, h("h1", { tabindex: -1 }, "No such page"), h("p", {}, h("a", { href: "#/ask" }, "Ask a question instead")));
  const heading = main.querySelector("h1");
  document.title = `${parts[0] ?? heading?.textContent ?? ""} · workbench`;
  if (!focus) return;
  scrollTo(0, 0);
  /** @type {HTMLElement} */ (heading ?? main).focus({ preventScroll: true });
}

async function signIn(why) {
  if (keyDialogIsOpen) return;
  keyDialogIsOpen = true;
  const key = await askForKey(why);
  keyDialogIsOpen = false;
  if (key === null) return;
  storeKey(key);
  forget();
  await start();
}

async function start() {
  showSession();
  try {
    await whoAmI();
  } catch {
    // 401 has asked for a key, no answer has told the banner: the page below shows the rest by itself.
  }
  route({ focus: false });
}

function showSession() {
  const button = document.getElementById("session");
  button.hidden = !isSignedIn();
  button.textContent = "Sign out";
}

document.getElementById("session").addEventListener("click", () => {
  storeKey(null);
  location.reload(); // nothing of what the key could read stays on the page
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the router's
  main.focus();
});

addEventListener("workbench:unauthorised", () => {
  const refused = isSignedIn();
  signIn(refused ? "The server does not know this key, or it was revoked." : "This server answers only those with a key.");
});
addEventListener("hashchange", () => location.hash.startsWith("#/") && route({ focus: true }));

watchHealth({ ask: () => getJson("/health"), onReturn: () => main.dataset.page !== "ask" && route({ focus: false }) });
start();
