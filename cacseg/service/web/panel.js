// The panel beside the picture: scores before and now, the list of lesions, what was done, the comment.

import { element, fill } from "./element.js";
import { LABELS, labelOf, STRUCTURES } from "./vessels.js";
import { clockTime, number, sliceRange } from "./words.js";

const swatch = (label) => element("span", { class: "swatch", style: { background: label.colour }, "aria-hidden": "true" });

/** Write the table of scores: what the software gave, what was signed, what holds now. */
export function paintScores(place, review) {
  const columns = scoreColumns(review);
  const now = review.scores.current;
  const row = (title, pick, kind = "") => {
    const values = columns.map((column) => number(pick(column.scores).agatston));
    const current = pick(now);
    return element(
      "tr",
      { class: kind },
      element("th", { scope: "row" }, title),
      values.map((value, at) =>
        element("td", { class: `right ${at < values.length - 1 ? "before" : value === values[0] ? "" : "changed"}` }, value),
      ),
      element("td", { class: "right" }, number(current.volume_mm3, 0)),
      element("td", { class: "right" }, number(current.mass_mg)),
      element("td", { class: "right" }, current.lesions),
    );
  };
  const vessels = LABELS.filter((label) => label.coronary).map((label) =>
    row([swatch(label), ` ${label.short}`], (scores) => scores.vessels[label.short]),
  );
  fill(
    place,
    element(
      "table",
      { class: "scores" },
      element("caption", { class: "unseen" }, "Scores"),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "Agatston"),
          columns.map((column) => element("th", { scope: "col", class: "right" }, column.title)),
          element("th", { scope: "col", class: "right" }, "mm³"),
          element("th", { scope: "col", class: "right" }, "mg"),
          element("th", { scope: "col", class: "right", title: "Lesions" }, "n"),
        ),
      ),
      element("tbody", {}, vessels, row("Total", (scores) => scores.total, "total")),
    ),
    element("p", { class: "categoryline" }, categories(review)),
    element("p", { class: "quiet-text" }, outside(now), ` · rule ${review.rule.name}, ≥ ${number(review.rule.threshold_hu, 0)} HU`),
  );
}

/** Columns of the score table, oldest first; the last one holds now. */
function scoreColumns(review) {
  const { original, current } = review.scores;
  if (review.signed) {
    const signed = { title: `Signed v${review.version}`, scores: current };
    return review.automatic ? [{ title: "Automatic", scores: review.automatic }, signed] : [signed];
  }
  const now = { title: "Now", scores: current };
  if (!review.automatic) return [{ title: "Automatic", scores: original }, now];
  return [{ title: "Automatic", scores: review.automatic }, { title: `Signed v${review.version}`, scores: original }, now];
}

function categories(review) {
  const [before, now] = [review.scores.original.category, review.scores.current.category];
  const chip = (name) => element("span", { class: "category", dataset: { category: name } }, name);
  return before === now ? ["Category ", chip(now)] : ["Category ", chip(before), " → ", chip(now)];
}

function outside(scores) {
  if (!scores.extracoronary.length) return "No calcium outside the arteries";
  const parts = scores.extracoronary.map((one) => `${labelOf(STRUCTURES[one.structure]).name} ${number(one.agatston, 0)}`);
  return `Not in the score: ${parts.join(", ")}`;
}

/** Write the list of lesions; act tells what a row or its button was used for: pick, look, back. */
export function paintLesions(place, review, selected, act) {
  const rows = review.lesions.map((lesion) => {
    const label = labelOf(lesion.label);
    const chosen = lesion.id === selected;
    return element(
      "tr",
      {
        class: `${chosen ? "chosen" : ""} ${label.coronary ? "" : "outside"}`,
        "aria-selected": chosen ? "true" : "false",
        tabindex: chosen || (selected === null && lesion === review.lesions[0]) ? "0" : "-1",
        dataset: { lesion: lesion.id },
        onclick: () => act.pick(lesion),
      },
      element("td", { class: "right" }, lesion.id),
      element("td", {}, swatch(label), ` ${label.short}`, lesion.changed && element("span", { class: "mark", title: "Changed by a reader" }, " ●")),
      element("td", { class: "right" }, sliceRange(lesion.slices)),
      element("td", { class: "right strong" }, number(lesion.agatston)),
      element("td", { class: "right" }, number(lesion.peak_hu, 0)),
      element("td", { class: "right" }, confidence(lesion)),
    );
  });
  const gone = review.excluded.map((one) =>
    element(
      "tr",
      { class: "gone", onclick: () => act.look(one) },
      element("td", { class: "right" }, "–"),
      element("td", {}, element("s", {}, labelOf(one.before).short), " excluded"),
      element("td", { class: "right" }, one.anchor[0] + 1),
      element("td", { colspan: 3, class: "right" }, act.back && bringBack(one, act)),
    ),
  );
  fill(
    place,
    element(
      "table",
      { class: "lesions", role: "grid", "aria-label": "Lesions" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ["#", "Belongs to", "Slices", "Agatston", "Peak HU", "Sure"].map((title, at) =>
            element("th", { scope: "col", class: at === 1 ? "" : "right" }, title),
          ),
        ),
      ),
      element("tbody", {}, rows, gone),
    ),
    !rows.length && element("p", { class: "empty" }, "No calcium is labelled. Press A to add some."),
  );
}

function bringBack(gone, act) {
  const pressed = (event) => {
    event.stopPropagation();
    act.back(gone);
  };
  return element("button", { type: "button", class: "small", onclick: pressed }, "Bring back");
}

function confidence(lesion) {
  if (lesion.confidence === null) return element("span", { class: "quiet-text", title: "Set by a reader" }, "reader");
  const percent = `${Math.round(lesion.confidence * 100)} %`;
  return lesion.confidence < 0.7 ? element("span", { class: "warned", title: "The model is not sure" }, percent) : percent;
}

const KINDS = {
  assign: (one) => `lesion ${one.lesion} from ${named(one.before)} to ${labelOf(one.label).short}`,
  exclude: (one) => `lesion ${one.lesion} (${named(one.before)}) excluded`,
  add: (one) => `lesion added to ${labelOf(one.label).short}`,
  cut: (one) => `part of lesion ${one.lesion} (${named(one.before)}) ${one.label ? `cut off to ${labelOf(one.label).short}` : "excluded"}`,
};
const named = (name) => (name || "").replace("_", " ").toLowerCase().replace(/^(lm|lad|lcx|rca)$/, (short) => short.toUpperCase());

/** Say what an edit did. */
export const told = (one) => KINDS[one.kind](one);

/** Write what was done, the last change first, and what no longer fits. */
export function paintHistory(place, review) {
  const done = [...review.history].reverse();
  fill(
    place,
    element("summary", {}, `Changes (${done.length})`),
    done.length
      ? element("ol", { reversed: true }, done.map((one) => element("li", {}, told(one), element("span", { class: "quiet-text" }, ` ${one.actor}, ${clockTime(one.time)}`))))
      : element("p", { class: "quiet-text" }, "None yet."),
    review.skipped.map((one) => element("p", { class: "warned" }, `No longer fits: ${told(one)}. ${one.reason}`)),
  );
}
