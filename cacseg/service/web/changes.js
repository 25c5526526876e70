// Changes of a review: asked of the service one after the other, offered again where somebody else was faster.

import { askAgain, askSignature, confirm } from "./dialogs.js";
import { announce, toast } from "./element.js";
import { told } from "./panel.js";
import { postReview, readStudy } from "./service.js";
import { labelOf } from "./vessels.js";
import { number } from "./words.js";

const WITHOUT_REVISION = ["rebase", "amend"];

/** What a reader does to the review of one page. */
export class Changes {
  /** @param {import("./study.js").StudyPage} page */
  constructor(page) {
    this.page = page;
    this.busy = Promise.resolve();
    this.anchors = new Map();
  }

  /** Ask the service for a change when those before it are done; gives the new state, or null. */
  act(action, body, words) {
    this.busy = this.busy.then(() => this.actNow(action, body, words));
    return this.busy;
  }

  async actNow(action, body, words) {
    const { page } = this;
    const begun = performance.now();
    const { revision, version } = page.review || {};
    const known = action === "edits" ? { revision, base_version: version } : { revision };
    try {
      const answer = await postReview(page.id, action, WITHOUT_REVISION.includes(action) ? undefined : { ...known, ...body });
      const before = page.review?.scores.current.total.agatston;
      page.take(answer);
      page.scores.dataset.latencyMs = (performance.now() - begun).toFixed(1);
      if (words) announce(`${words}. Agatston ${number(before)} to ${number(answer.scores.current.total.agatston)}`);
      if (action === "sign") await this.afterSigning(answer);
      if (action === "rebase" && !page.canvas.dataset.ready) location.reload();
      return answer;
    } catch (error) {
      if (error.status !== 409 || !error.problem?.state) {
        toast(error.message, "fault");
        return null;
      }
      page.take(error.problem.state);
      const again = await askAgain(error.message, words);
      return again ? this.actNow(action, this.anchored(body), words) : null;
    }
  }

  /** Name the lesion by a voxel of it, for its number may be another one now. */
  anchored(body) {
    if (!body.edit?.lesion) return body;
    const { lesion, ...rest } = body.edit;
    return { ...body, edit: { ...rest, at: this.anchors.get(lesion) } };
  }

  /** Change labels. */
  edit(edit, words) {
    const { page } = this;
    if (!page.mayReview) return toast("Your token may read but not review.");
    if (page.review.signed) return toast("This version is signed. Begin an amendment to change it.");
    this.anchors = new Map(page.review.lesions.map((one) => [one.id, one.anchor]));
    return this.act("edits", { edit }, words);
  }

  /** Give the selected lesion to another owner; 0 excludes it. */
  assign(value) {
    const lesion = this.page.lesion();
    if (!lesion || lesion.label === value) return;
    const words = `Lesion ${lesion.id} (${labelOf(lesion.label).short}) ${value ? `to ${labelOf(value).short}` : "excluded"}`;
    const change = value ? { kind: "assign", lesion: lesion.id, label: value } : { kind: "exclude", lesion: lesion.id };
    this.edit(change, words);
  }

  bringBack(gone) {
    const words = `Calcium brought back to ${labelOf(gone.before).short}`;
    this.edit({ kind: "add", point: gone.anchor, label: gone.before }, words);
  }

  undo() {
    const { review } = this.page;
    if (review.can_undo) this.act("edits", { edit: { kind: "undo" } }, `Undone: ${told(review.history.at(-1))}`);
  }

  redo() {
    if (this.page.review.can_redo) this.act("edits", { edit: { kind: "redo" } }, "Made again");
  }

  saveComment() {
    this.act("comment", { comment: this.page.comment.value }, "Comment kept");
  }

  amend() {
    this.act("amend", {}, "Amendment begun");
  }

  rebase() {
    this.act("rebase", {}, "");
  }

  async discard() {
    const text = "Its changes are laid aside; the version under it stays as it is.";
    if (await confirm("Discard this draft?", text, "Discard")) this.act("discard", {}, "Draft discarded");
  }

  async sign() {
    const { page } = this;
    if (document.activeElement === page.comment) page.comment.blur();
    await this.busy;
    const { original, current } = page.review.scores;
    const count = page.review.history.length;
    const line = count
      ? `Agatston ${number(original.total.agatston)} before, ${number(current.total.agatston)} now, ${count} ${count === 1 ? "change" : "changes"}.`
      : `Agatston ${number(current.total.agatston)}, as the software found it.`;
    const given = await askSignature({ line, amends: Boolean(page.review.signature) });
    if (given) this.act("sign", given, "Signed");
  }

  async afterSigning(answer) {
    toast(`Signed as version ${answer.signed_version}.`);
    this.page.study = await readStudy(this.page.id);
    this.page.paintFindings();
  }
}
