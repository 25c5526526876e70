// One study on the reading page: the picture, the lesions, the corrections, the signature.

import { Changes } from "./changes.js";
import { announce, element, fill, toast } from "./element.js";
import { listKeys, studyKeys } from "./keys.js";
import { paintHistory, paintLesions, paintScores } from "./panel.js";
import { beginRefused, orRefused, paintRefusal } from "./refused.js";
import { fileAddress, listFiles, loadVoxels, readReview, readStudy, volumeHeader } from "./service.js";
import { paintFindings, paintStanding } from "./standing.js";
import { Tools } from "./tools.js";
import { LABELS, labelOf, NOTHING } from "./vessels.js";
import { SLABS, Viewer, WINDOWS } from "./viewer.js";
import { Volume } from "./volume.js";
import { dicomDate, number, personName, STATES } from "./words.js";

const POLL_MS = 8000;
const RETRY_MS = 1500;
const button = (text, key, act, kind = "") =>
  element("button", { type: "button", class: kind, onclick: act, title: key ? `${text} (${key})` : text }, text, key && element("kbd", {}, key));

/** Shows a study until it is left. */
export class StudyPage {
  constructor(id, session, places) {
    this.id = id;
    this.places = places;
    this.mayReview = session.rights.includes("review");
    this.review = null;
    this.selected = null;
    this.place = 0;
    this.changes = new Changes(this);
    this.tools = new Tools(this);
    this.build();
    this.open();
  }

  leave() {
    this.left = true;
    clearInterval(this.poll);
    clearTimeout(this.retry);
    fill(this.places.actions);
    fill(this.places.heading);
  }

  build() {
    this.canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": "Axial picture", class: "picture" });
    this.facts = element("div", { class: "facts", "aria-hidden": "true" });
    this.scan = element("div", { class: "facts upper", "aria-hidden": "true" });
    this.hint = element("div", { class: "hint", role: "status" });
    this.loading = element("progress", { max: 1, value: 0, "aria-label": "Loading the voxels" });
    this.track = element("div", { class: "track", "aria-hidden": "true" });
    this.slider = element("input", {
      type: "range",
      min: 0,
      max: 0,
      step: 1,
      class: "slider",
      "aria-label": "Slice",
      "aria-orientation": "vertical",
      oninput: () => this.viewer.go(Number(this.slider.value)),
    });
    this.toolbar = element("div", { class: "tools", role: "toolbar", "aria-label": "Picture" });
    this.scores = element("section", { class: "card", "aria-label": "Scores" });
    this.status = element("div", { class: "standing" });
    this.lesions = element("section", { class: "card lesionbox", "aria-label": "Lesions" });
    this.assign = element("div", { class: "assign", role: "toolbar", "aria-label": "Give the selected lesion to" });
    this.history = element("details", { class: "card history" });
    this.comment = element("textarea", { rows: 1, maxlength: 4000, "aria-label": "Comment", placeholder: "Comment", onchange: () => this.changes.saveComment() });
    this.findings = element("details", { class: "card findings" });
    fill(
      this.places.content,
      element(
        "div",
        { class: "reading" },
        element(
          "section",
          { class: "viewer", "aria-label": "Picture" },
          this.toolbar,
          element("div", { class: "stage" }, this.canvas, this.scan, this.facts, this.hint, this.loading, element("div", { class: "scroller" }, this.slider, this.track)),
        ),
        element(
          "aside",
          { class: "panel", "aria-label": "Scores and lesions" },
          this.status,
          this.scores,
          this.lesions,
          this.assign,
          this.comment,
          this.history,
          this.findings,
        ),
      ),
    );
    this.viewer = new Viewer(this.canvas, {
      moved: () => this.paintFacts(),
      picked: (lesion) => this.select(lesion, false),
      pointed: (voxel) => this.tools.add(voxel),
      lined: (line) => this.tools.beginCut(line),
    });
    this.lesions.addEventListener("keydown", (event) => {
      if (!listKeys(this, event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.paintTools();
  }

  async open() {
    try {
      const asked = [readReview(this.id), volumeHeader(this.id)];
      for (const one of asked) one.catch(() => null);
      this.study = await readStudy(this.id);
      if (this.left) return;
      this.paintHeading();
      this.paintFindings();
      const review = await asked[0].catch((error) => orRefused(this.study, error));
      if (this.left) return;
      if (review) this.take(review);
      else beginRefused(this);
      const grid = await asked[1];
      if (this.left) return;
      this.header = grid;
      const count = grid.shape[0] * grid.shape[1] * grid.shape[2];
      const voxels = await loadVoxels(this.id, count, (share) => (this.loading.value = share));
      if (this.left) return;
      this.viewer.show(new Volume(grid, voxels));
      this.slider.max = grid.shape[0] - 1;
      this.loading.remove();
      this.paintTrack();
      const first = this.review.lesions[0];
      if (first) this.viewer.go(first.anchor[0]);
      else this.viewer.go(this.viewer.slice);
      this.canvas.dataset.ready = "yes";
      this.canvas.focus();
      if (!this.review.refused) this.poll = setInterval(() => document.hidden || this.look(), POLL_MS);
    } catch (error) {
      if (!this.left) this.failed(error);
    }
  }

  /** Say why there is nothing to read; a study that is still on its way is opened when it is there. */
  failed(error) {
    const state = this.study?.state;
    if (error.status === 409 && ["receiving", "waiting", "scoring"].includes(state) && !this.study.version) {
      fill(this.status, element("p", { class: "automatic" }, `${STATES[state]}: the study opens when it is scored.`));
      this.retry = setTimeout(() => this.open(), RETRY_MS);
      return;
    }
    this.loading.remove();
    fill(this.toolbar);
    if (this.review?.refused) return paintRefusal(this, error.message);
    for (const part of [this.scores, this.lesions, this.assign, this.comment, this.history]) part.hidden = true;
    const again = error.status === 409 && this.mayReview && this.study?.version > 1;
    this.findings.open = true;
    fill(
      this.status,
      element("p", { class: "warned", role: "alert" }, error.message),
      this.study?.message && element("p", { class: "warned" }, this.study.message),
      again && button("Take the corrections over to the newest version", "", () => this.changes.rebase()),
    );
    if (this.study?.version) fill(this.places.actions, this.reports(this.study.version));
  }

  /** Take a state from the service as the one that holds. */
  take(review) {
    const place = this.review ? this.review.lesions.findIndex((one) => one.id === this.selected) : -1;
    const before = this.review?.lesions[place]?.anchor;
    this.review = review;
    if (before) {
      this.selected = review.lesions.find((one) => same(one.anchor, before))?.id ?? null;
      if (this.selected === null) this.place = place;
    }
    this.viewer.selected = this.selected;
    this.viewer.setLesions(review.lesions, review.excluded);
    this.paint();
  }

  paint() {
    if (this.review.refused) return this.paintFacts();
    paintScores(this.scores, this.review);
    paintLesions(this.lesions, this.review, this.selected, {
      pick: (lesion) => this.select(lesion, true),
      look: (gone) => this.viewer.goTo(gone.anchor),
      back: this.mayReview && !this.review.signed ? (gone) => this.changes.bringBack(gone) : null,
    });
    paintHistory(this.history, this.review);
    if (document.activeElement !== this.comment) this.comment.value = this.review.comment || "";
    this.comment.disabled = !this.mayReview || this.review.signed;
    this.paintStatus();
    this.paintAssign();
    this.paintActions();
    this.paintTrack();
    this.paintFacts();
  }

  paintHeading() {
    const study = this.study;
    document.title = `${personName(study.patient_name)} – cacseg`;
    fill(
      this.places.heading,
      element("strong", {}, personName(study.patient_name)),
      element("span", {}, study.patient_id || "—"),
      element("span", {}, dicomDate(study.study_date)),
      study.accession && element("span", {}, `Acc. ${study.accession}`),
    );
  }

  paintActions() {
    const review = this.review;
    const may = this.mayReview && !review.read_only;
    fill(
      this.places.actions,
      may && !review.signed && button("Undo", "U", () => this.changes.undo()),
      may && !review.signed && button("Redo", "R", () => this.changes.redo()),
      this.reports(review.version),
      may && review.signed && button("Amend", "", () => this.changes.amend()),
      may && !review.signed && review.draft && button("Discard", "", () => this.changes.discard()),
      may && !review.signed && button("Sign", "S", () => this.changes.sign(), "primary"),
    );
    for (const one of this.places.actions.querySelectorAll("button")) {
      if (one.textContent.startsWith("Undo")) one.disabled = !review.can_undo;
      if (one.textContent.startsWith("Redo")) one.disabled = !review.can_redo;
    }
  }

  /** The menu of the files of a version; they are listed when it is opened. */
  reports(version) {
    const list = element("div", { class: "filelist" });
    const open = async () => {
      if (!box.open) return;
      const found = await listFiles(this.id, version).catch((error) => (toast(error.message, "fault"), []));
      const shown = found.filter((file) => !file.name.includes("/"));
      const link = (file) => element("a", { href: fileAddress(this.id, file.name, version), target: "_blank", rel: "noopener" }, file.name);
      fill(list, element("p", { class: "quiet-text" }, `Version ${version}`), shown.map(link));
    };
    const box = element("details", { class: "files", ontoggle: open }, element("summary", {}, "Reports"), list);
    return box;
  }

  paintStatus() {
    const rebase = this.mayReview ? () => this.changes.rebase() : null;
    paintStanding(this.status, this.review, rebase);
  }

  paintFindings() {
    paintFindings(this.findings, this.study.findings || []);
  }

  paintTools() {
    const { viewer } = this;
    const pressed = (text, on, act, title) => element("button", { type: "button", "aria-pressed": on ? "true" : "false", onclick: act, title }, text);
    const tool = (name, text, key) => pressed([text, " ", element("kbd", {}, key)], viewer.tool === name, () => this.tools.choose(viewer.tool === name ? "select" : name), `${text} (${key})`);
    const newLabel = element(
      "select",
      { "aria-label": "New lesions belong to", onchange: (event) => this.tools.chooseLabel(Number(event.target.value)) },
      LABELS.map((label) => element("option", { value: label.value, selected: label.value === this.tools.newLabel }, label.short)),
    );
    fill(
      this.toolbar,
      element("div", { class: "group", role: "group", "aria-label": "Window" }, WINDOWS.map((one) => pressed(one.name, viewer.window.name === one.name, () => viewer.setWindow(one.centre, one.width), `${one.name}: centre ${one.centre}, width ${one.width} HU (W)`))),
      element("div", { class: "group", role: "group", "aria-label": "Slab" }, SLABS.map((slices) => pressed(slices === 1 ? "Slice" : `MIP ${slices}`, viewer.slab === slices, () => viewer.setSlab(slices), slices === 1 ? "One slice (M)" : `Highest value through ${slices} slices (M)`))),
      this.mayReview && element("div", { class: "group", role: "group", "aria-label": "Tools" }, tool("add", "Add", "A"), viewer.tool === "add" && newLabel, tool("cut", "Cut", "C")),
      element("div", { class: "group" }, pressed(["Outlines ", element("kbd", {}, "O")], viewer.outlines, () => this.toggleOutlines(), "Outlines (O)"), button("Fit", "0", () => viewer.fit())),
    );
  }

  paintAssign() {
    const lesion = this.lesion();
    const may = this.mayReview && !this.review.signed && lesion;
    fill(
      this.assign,
      [...LABELS, NOTHING].map((label) =>
        element(
          "button",
          {
            type: "button",
            class: label === NOTHING ? "tall" : "",
            disabled: !may || lesion?.label === label.value,
            title: `${label.name} (${label.key})`,
            style: { "--label": label.colour },
            onclick: () => this.changes.assign(label.value),
          },
          element("kbd", {}, label.key.toUpperCase()),
          ` ${label.short}`,
        ),
      ),
    );
  }

  paintTrack() {
    const slices = this.viewer.volume?.slices;
    if (!slices) return;
    const mark = (lesion, slice) =>
      element("i", {
        class: labelOf(lesion.label).coronary ? "" : "outside",
        style: { bottom: `${(slice / slices) * 100}%`, height: `${100 / slices}%`, background: labelOf(lesion.label).colour },
      });
    fill(this.track, this.review.lesions.flatMap((lesion) => lesion.slices.map((slice) => mark(lesion, slice))));
  }

  paintFacts() {
    const { viewer } = this;
    if (!viewer.volume || !this.review) return;
    const { slice, slab, volume } = viewer;
    this.slider.value = slice;
    const place = `${number(volume.world(slice, 0, 0)[2])} mm`;
    const lines = [
      `Slice ${slice + 1} / ${volume.slices}   ${place}`,
      slab > 1 ? `MIP ${slab} slices, ${number(slab * volume.spacing[0], 0)} mm` : `${number(volume.spacing[0])} mm`,
      `C ${Math.round(viewer.window.centre)}  W ${Math.round(viewer.window.width)}   zoom ${number(viewer.zoom)}`,
    ];
    if (viewer.pointer) {
      const voxel = viewer.voxelAt(...viewer.pointer);
      if (voxel) lines.push(`${volume.at(...voxel)} HU`);
    }
    fill(this.facts, lines.map((line) => element("div", {}, line)));
    const about = [this.header.description, this.header.kvp && `${this.header.kvp} kVp`, this.header.kernel].filter(Boolean);
    fill(this.scan, about.map((line) => element("div", {}, line)));
    this.slider.setAttribute("aria-valuetext", `Slice ${slice + 1} of ${volume.slices}`);
    this.canvas.setAttribute("aria-label", `Axial picture, slice ${slice + 1} of ${volume.slices}, ${viewer.window.name || "own"} window`);
    const shown = `${viewer.window.name}/${slab}/${viewer.tool}/${viewer.outlines}`;
    if (shown !== this.toolsShown) {
      this.toolsShown = shown;
      this.paintTools();
    }
  }

  lesion() {
    return this.review?.lesions.find((one) => one.id === this.selected) || null;
  }

  select(lesion, jump) {
    this.selected = lesion?.id ?? null;
    this.viewer.selected = this.selected;
    if (lesion && (jump || !this.seen(lesion))) this.viewer.goTo(lesion.anchor);
    this.viewer.draw();
    this.paint();
    const row = this.lesions.querySelector(".chosen");
    row?.scrollIntoView({ block: "nearest" });
    if (lesion) announce(`Lesion ${lesion.id}, ${labelOf(lesion.label).name}, Agatston ${number(lesion.agatston)}`);
  }

  seen(lesion) {
    return lesion.slices.includes(this.viewer.slice);
  }

  next(step) {
    const { lesions } = this.review;
    if (!lesions.length) return;
    const found = lesions.findIndex((one) => one.id === this.selected);
    const at = found < 0 && step > 0 ? this.place - 1 : found < 0 ? this.place : found;
    this.select(lesions[(at + step + lesions.length) % lesions.length], true);
  }

  toggleOutlines() {
    this.viewer.outlines = !this.viewer.outlines;
    this.viewer.draw();
    this.paintFacts();
  }

  /** Look whether somebody else has changed the review. */
  async look() {
    try {
      const review = await readReview(this.id);
      const differs = review.revision !== this.review.revision || review.version !== this.review.version || review.newest_version !== this.review.newest_version;
      if (differs && !this.left) {
        this.take(review);
        toast(`The review was changed by ${review.authors?.at(-1) || "somebody else"}.`);
      }
    } catch (error) {
      if (error.status === 401) location.reload();
    }
  }

  keys(event) {
    return studyKeys(this, event);
  }

  released(event) {
    if (event.key.toLowerCase() === "b") this.compare(false);
  }

  async compare(on) {
    if (!this.review || this.comparing === on) return;
    this.comparing = on;
    const { version } = this.review;
    if (!version) return;
    if (this.before?.version !== version) this.before = await readReview(this.id, version).catch(() => null);
    const { before } = this;
    if (!before) return;
    const shown = this.comparing ? before : this.review;
    this.hint.textContent = this.comparing ? `Labels of version ${this.review.version}, before this review` : "";
    this.viewer.setLesions(shown.lesions, shown.excluded);
  }
}

const same = (one, other) => one.every((value, at) => value === other[at]);
