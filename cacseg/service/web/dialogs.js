// Questions to the reader: sign, a change that came too late, the keys.

import { dialog, element } from "./element.js";

const KEYS = [
  ["Picture", [
    ["↑ ↓, wheel", "one slice towards head or feet"],
    ["PgUp PgDn", "five slices"],
    ["Home End", "last or first slice"],
    ["W / Shift W", "next or previous window; right drag sets it"],
    ["M", "slab: 1, 3, 5, 10 slices, highest value"],
    ["+ − 0, Ctrl wheel", "zoom, and back to the whole picture"],
    ["Shift arrows, drag", "move the picture"],
    ["O", "outlines on or off"],
    ["B", "labels as before the review, while held"],
  ]],
  ["Lesions", [
    ["N / P", "next or previous lesion"],
    ["1 2 3 4", "give it to LM, LAD, LCX, RCA"],
    ["5 6 7 8", "call it valve, annulus, aorta, other"],
    ["X", "exclude it"],
    ["A", "add: click on calcium, or move the crosshair by arrows and press Enter"],
    ["C", "cut: draw a line, or set both ends by Enter; then a number for the part that lights up, F for the other one, S for this slice alone"],
    ["U / R", "undo, redo (Ctrl Z, Ctrl Y)"],
    ["Esc", "leave the tool, then the selection"],
  ]],
  ["Page", [
    ["S", "sign"],
    ["L", "work list; there / searches"],
    ["T", "light or dark"],
    ["?", "these keys"],
  ]],
];

/** Show the keys. */
export function showKeys() {
  return dialog(
    "Keys",
    (close) => [
      element(
        "div",
        { class: "keys" },
        KEYS.map(([title, keys]) =>
          element(
            "section",
            {},
            element("h3", {}, title),
            element("dl", {}, keys.map(([key, does]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)])),
          ),
        ),
      ),
      element("div", { class: "answers" }, element("button", { type: "button", autofocus: true, onclick: () => close(null) }, "Close")),
    ],
    "wide",
  );
}

/**
 * Ask for a signature.
 * @returns {Promise<{name: string, role_title: string, organisation: string|null}|null>}
 */
export function askSignature(facts) {
  const kept = JSON.parse(localStorage.getItem("cacseg-signer") || "{}");
  return dialog(facts.amends ? "Sign the amendment" : "Sign the score", (close) => {
    const field = (title, name, required) =>
      element("label", {}, title, element("input", { name, required, maxlength: 64, autocomplete: "off", value: kept[name] || "" }));
    const form = element(
      "form",
      {
        method: "dialog",
        onsubmit: (event) => {
          event.preventDefault();
          const given = Object.fromEntries(new FormData(form));
          localStorage.setItem("cacseg-signer", JSON.stringify(given));
          close({ ...given, organisation: given.organisation || null });
        },
      },
      element("p", { class: "signline" }, facts.line),
      field("Name", "name", true),
      field("Role", "role_title", true),
      field("Organisation (else that of the images)", "organisation", false),
      element(
        "p",
        { class: "quiet-text" },
        "A signature makes a new version. Every form of the report, DICOM SR and SEG among them, is written again as verified by you, and sent where the service is told to send.",
      ),
      element(
        "div",
        { class: "answers" },
        element("button", { type: "button", class: "quiet", onclick: () => close(null) }, "Cancel"),
        element("button", { type: "submit", class: "primary" }, "Sign"),
      ),
    );
    return [form];
  });
}

/** Say that somebody else was faster, and offer the change again. */
export function askAgain(detail, change) {
  return dialog("Changed by somebody else meanwhile", (close) => [
    element("p", {}, detail),
    element("p", {}, "The newer state is on the page now; nothing of it was overwritten. Your change was not made: ", element("strong", {}, change)),
    element(
      "div",
      { class: "answers" },
      element("button", { type: "button", class: "quiet", onclick: () => close(false) }, "Leave it"),
      element("button", { type: "button", class: "primary", autofocus: true, onclick: () => close(true) }, "Make it again"),
    ),
  ]);
}

/** Ask a question with two answers. */
export function confirm(title, text, yes) {
  return dialog(title, (close) => [
    element("p", {}, text),
    element(
      "div",
      { class: "answers" },
      element("button", { type: "button", class: "quiet", autofocus: true, onclick: () => close(false) }, "Cancel"),
      element("button", { type: "button", class: "primary", onclick: () => close(true) }, yes),
    ),
  ]);
}
