// What a review stands on: automatic, draft or signed, by whom; and what was noticed about the study.

import { element, fill } from "./element.js";
import { clockTime, personName } from "./words.js";

/** Say where a review stands; rebase takes it over to a newer version, null where the reader may not. */
export function paintStanding(place, review, rebase) {
  const lines = review.signature && review.signed ? signed(review) : review.draft ? draft(review) : [automatic(review)];
  if (review.newest_version !== review.version) {
    lines.push(element("p", { class: "warned" }, `Version ${review.newest_version} came in meanwhile.`));
    if (rebase) lines.push(element("button", { type: "button", onclick: rebase }, "Take the corrections over to it"));
  }
  fill(place, lines);
}

function signed(review) {
  const { verified_by: by, amends, signed_at: at, comment } = review.signature;
  const verb = amends ? "Amended" : "Signed";
  return [
    element("p", { class: "signed" }, `${verb} as version ${review.version} by ${personName(by.name)}, ${by.role}`),
    element("p", { class: "quiet-text" }, clockTime(at)),
    comment && element("p", { class: "quiet-text" }, comment),
  ];
}

function draft(review) {
  return [
    element("p", { class: "draft" }, `Draft on version ${review.version}, revision ${review.revision}, kept by the service`),
    element("p", { class: "quiet-text" }, `Changed by ${review.authors.join(", ")}`),
  ];
}

function automatic(review) {
  return element("p", { class: "automatic" }, `Version ${review.version}, automatic, not verified by a physician`);
}

/** List the findings, open where there is a warning among them. */
export function paintFindings(place, findings) {
  const warnings = findings.filter((one) => one.severity === "warning").length;
  const warned = warnings ? `, ${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "";
  place.open = warnings > 0;
  fill(
    place,
    element("summary", {}, `Findings (${findings.length}${warned})`),
    element("ul", {}, findings.map((one) => element("li", { class: one.severity }, one.message))),
  );
}
