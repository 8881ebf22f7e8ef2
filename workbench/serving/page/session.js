/** Who is signed in and what they may do: `/v1/me`, asked once and after every change of key. */

import { getJson, storedKey } from "./api.js";

/** @typedef {{key: string | null, roles: Record<string, "read" | "write" | "admin">}} Me */

const RANK = { read: 1, write: 2, admin: 3 };

/** @type {Promise<Me> | null} */
let asked = null;

/** @returns {Promise<Me>} */
export function whoAmI() {
  if (asked === null) {
    asked = getJson("/v1/me");
    asked.catch(() => (asked = null)); // an error is not remembered
  }
  return asked;
}

/** Ask again next time. */
export function forget() {
  asked = null;
}

/** May they do what needs `role` in `collection`? @param {Me} me @param {"read" | "write" | "admin"} role @param {string} [collection] */
export function may(me, role, collection = "*") {
  const best = Math.max(RANK[me.roles["*"]] ?? 0, RANK[me.roles[collection]] ?? 0);
  return best >= RANK[role];
}

/** May this collection be written to from here? @param {import("./api.js").Collection} collection @param {"write" | "admin"} [role] */
export function mayChange(collection, role = "write") {
  return collection.origin !== "run" && (RANK[collection.role] ?? 0) >= RANK[role];
}

/** Was a key entered here? */
export function isSignedIn() {
  return storedKey() !== null;
}
