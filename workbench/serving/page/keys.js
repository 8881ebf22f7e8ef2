/** The keys of this server, for administrators: list, make (the secret is shown once), revoke. */

import { getJson, path } from "./api.js";
import { confirm, openDialog } from "./dialog.js";
import { field, h, select, table } from "./dom.js";
import { moment } from "./format.js";
import { isSignedIn } from "./session.js";
import { empty, inWords, load, outcome } from "./states.js";

const ROLES = /** @type {[string, string][]} */ ([["read", "read: search and be answered"], ["write", "write: also add and delete documents"], ["admin", "admin: also make and drop collections"]]);

/** @param {{collections: import("./api.js").Collection[], signal: AbortSignal}} options */
export function keysSection({ collections, signal }) {
  const list = h("div", {});
  const said = outcome();
  const refresh = () => load(list, {
    what: "keys",
    get: () => getJson("/v1/keys", { signal }),
    show: (found) => (found.data.length ? table("Keys", ["Name", { text: "Roles" }, "Made", ""], found.data.map(row), "list") : empty("No keys", "Without keys the server answers this machine alone. The first key made should be yours: an admin of *.")),
    signal,
  });

  function row(one) {
    const roles = Object.entries(one.roles ?? {}).map(([where, role]) => h("span", { class: "tag" }, `${where}: ${role}`));
    const limits = [one.principals?.length ? `sees documents of ${one.principals.join(", ")}` : "", one.expires ? `until ${moment(one.expires)}` : ""].filter(Boolean).join(" · ");
    const revoke = h("button", { type: "button", class: "quiet", "aria-label": `Revoke ${one.name}`, onclick: () => remove(one) }, "Revoke");
    return h("tr", {}, h("th", { scope: "row", class: "text" }, one.name), h("td", { class: "text" }, roles, limits ? h("small", {}, limits) : null), h("td", {}, moment(one.created)), h("td", {}, one.revoked ? h("span", { class: "muted" }, "revoked") : revoke));
  }

  async function remove(one) {
    if (!(await confirm({ title: "Revoke this key?", text: `Whoever uses “${one.name}” is refused from now on. A revoked key cannot be given back.`, action: "Revoke" }))) return;
    try {
      await getJson(path("v1", "keys", String(one.id)), { method: "DELETE" });
      said.say(`Revoked ${one.name}.`, "good");
      refresh();
    } catch (error) {
      said.say(inWords(error), "bad");
    }
  }

  refresh();
  return h("section", {}, h("h2", {}, "Keys"), h("p", { class: "note" }, "Who may ask, add and change. You see this as an administrator of all collections."), said, list, keyForm({ collections, onMade: refresh }));
}

function keyForm({ collections, onMade }) {
  const name = h("input", { type: "text", required: true, maxlength: 64, autocomplete: "off", placeholder: "reading room" });
  const rows = h("div", { class: "roles" });
  const said = outcome();
  const add = () => {
    const where = select([["*", "all collections"], ...collections.map((one) => /** @type {[string, string]} */ ([one.name, one.name]))], "*", { "aria-label": "Collection" });
    const role = select(ROLES, "read", { "aria-label": "Role" });
    const drop = h("button", { type: "button", class: "quiet close", "aria-label": "Remove this role", onclick: () => rows.children.length > 1 && pair.remove() }, "×");
    const pair = h("div", { class: "pair" }, where, role, drop);
    rows.append(pair);
  };
  const submit = async (event) => {
    event.preventDefault();
    const roles = Object.fromEntries([...rows.children].map((pair) => [...pair.querySelectorAll("select")].map((one) => one.value)));
    try {
      const made = await getJson("/v1/keys", { body: { name: name.value.trim(), roles } });
      name.value = "";
      said.say("");
      showSecret(made).addEventListener("close", onMade); // after it: the first key made closes the server to this page
    } catch (error) {
      said.say(inWords(error), "bad");
    }
  };
  add();
  return h("details", {}, h("summary", {}, "Make a key"), h("form", { onsubmit: submit }, field("For whom", name), rows,
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Make the key"), h("button", { type: "button", class: "quiet", onclick: add }, "+ role for another collection")), said));
}

/** @param {{name: string, secret: string}} made @returns {HTMLDialogElement} */
function showSecret(made) {
  const secret = h("input", { type: "text", readonly: true, value: made.secret, class: "secret", onfocus: () => secret.select() });
  const said = outcome();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(made.secret);
      said.say("Copied.", "good");
    } catch {
      secret.focus(); // no clipboard without https: it is selected, and the keyboard copies it
      said.say("Selected: copy it with the keyboard.");
    }
  };
  const next = isSignedIn() ? null : h("p", {}, "From now on this server answers only those with a key: sign in with one next.");
  return openDialog(`The key for ${made.name}`, [h("p", {}, "It is shown this once. The server keeps only its hash."), next, field("Key", secret),
    h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: copy }, "Copy"), said)]);
}
