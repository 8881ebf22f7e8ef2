/** Thumbs under an answer, with an optional correction; one record a click on Send. */

import { getJson } from "./api.js";
import { field, h, replace, svg } from "./dom.js";
import { inWords, outcome } from "./states.js";

/** A thumb, drawn: not every machine has emoji. @param {number} rating 1 up, -1 down */
function thumb(rating) {
  return svg("svg", { viewBox: "0 0 20 20", width: 18, height: 18, "aria-hidden": "true", class: rating < 0 ? "down" : null },
    svg("path", { d: "M6 9.2v7.3H3.4V9.2zM6 9.2l3.6-6.4c1.3 0 2 .9 1.8 2.1L11 7.8h4.5c1 0 1.6.8 1.4 1.8l-1.1 5.5c-.2.9-.8 1.4-1.6 1.4H6" }));
}

/** @param {string} responseId @param {string} arm for the buttons' names @returns {HTMLElement} */
export function makeFeedback(responseId, arm) {
  const said = outcome();
  const place = h("div", {});
  const buttons = [{ rating: 1, name: "Good answer" }, { rating: -1, name: "Bad answer" }].map(({ rating, name }) =>
    h("button", { type: "button", class: "quiet thumb", "aria-label": `${name} by ${arm}`, "aria-pressed": "false", onclick: () => choose(rating) }, thumb(rating)));

  function press(rating) {
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(rating === (at ? -1 : 1))));
  }

  function choose(rating) {
    press(rating);
    said.say("");
    const correction = h("textarea", { rows: 3 });
    const send = h("button", { type: "submit" }, "Send");
    const submit = async (event) => {
      event.preventDefault();
      send.disabled = true;
      const text = correction.value.trim();
      try {
        await getJson("/v1/feedback", { body: { response_id: responseId, rating, ...(text ? { correction: text } : {}) } });
        replace(place);
        said.say("Thank you, kept.", "good");
        buttons[rating === 1 ? 0 : 1].focus();
      } catch (error) {
        send.disabled = false;
        said.say(inWords(error), "bad");
      }
    };
    const cancel = h("button", { type: "button", class: "quiet", onclick: () => { press(0); replace(place); buttons[rating === 1 ? 0 : 1].focus(); } }, "Cancel");
    const label = rating === 1 ? "What made it good, or better still (optional)" : "What it should have said (optional)";
    replace(place, h("form", { onsubmit: submit }, field(label, correction), h("div", { class: "actions" }, send, cancel)));
    correction.focus();
  }

  return h("div", { class: "feedback" }, h("div", { class: "thumbs" }, buttons, said), place);
}
