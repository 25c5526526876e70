// A study that was refused: its images to look at, the reasons beside them, nothing to correct.

import { element, fill } from "./element.js";

const NOTHING = { lesions: [], excluded: [], history: [], skipped: [], read_only: true, signed: true, refused: true };

/** Nothing, where a review is missing because the newest version of its study is a refusal; else the error. */
export function orRefused(study, error) {
  if (study.versions.at(-1)?.status === "refused") return null;
  throw error;
}

/** Let a page show why its study was refused, and take away what only a score has. */
export function beginRefused(page) {
  page.mayReview = false;
  page.review = NOTHING;
  for (const part of [page.scores, page.lesions, page.assign, page.comment, page.history]) part.hidden = true;
  page.findings.open = true;
  page.hint.textContent = "Refused: no score";
  page.paintTools();
  paintRefusal(page);
  fill(page.places.actions, page.reports(page.study.version));
}

/** Write that a study was refused, and why; more is said where not even its images can be shown. */
export function paintRefusal(page, more = "") {
  const reasons = page.study.findings.filter((one) => one.severity === "refusal");
  fill(
    page.status,
    element("p", { class: "refused", role: "alert" }, "Refused: this study must not be scored"),
    reasons.map((one) => element("p", { class: "warned" }, one.message)),
    more && element("p", { class: "quiet-text" }, more),
  );
}
