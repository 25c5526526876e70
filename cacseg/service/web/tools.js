// The tools on the picture: add calcium at a point, cut a lesion along a line. By mouse or by keys.

import { announce, toast } from "./element.js";
import { LABELS, labelOf, NOTHING } from "./vessels.js";

const STEP = 1;
const LONG_STEP = 10;

/** What the mouse and the crosshair do while a tool is chosen. */
export class Tools {
  /** @param {import("./study.js").StudyPage} page */
  constructor(page) {
    this.page = page;
    this.newLabel = 2;
    this.oneSlice = false;
  }

  get viewer() {
    return this.page.viewer;
  }

  choose(tool) {
    if (!this.page.mayReview) return;
    this.viewer.setTool(tool);
    this.oneSlice = false;
    this.paintHint();
    this.page.paintFacts();
    this.page.canvas.focus();
  }

  chooseLabel(value) {
    this.newLabel = value;
    this.page.paintTools();
    this.paintHint();
  }

  paintHint() {
    const { tool, part } = this.viewer;
    const where = this.oneSlice ? "in this slice" : "in all its slices";
    const words = {
      select: "",
      add: `Add to ${labelOf(this.newLabel).short} (1–8 chooses): click on calcium, or arrows and Enter. Esc ends.`,
      cut: part
        ? `The bright part of lesion ${part.id}, ${where}: 1–8 or X says what it is, F the other part, S ${this.oneSlice ? "all slices" : "this slice only"}, Esc ends.`
        : "Draw a line across a lesion, or set both ends by arrows and Enter. Esc ends.",
    }[tool];
    this.page.hint.textContent = words;
    if (words) announce(words);
  }

  async add(voxel) {
    const label = this.newLabel;
    const answer = await this.page.changes.edit({ kind: "add", point: voxel, label }, `Lesion added to ${labelOf(label).short}`);
    const added = answer?.lesions.find((one) => one.changed && one.label === label && one.slices.includes(voxel[0]));
    if (added) this.page.select(added, false);
  }

  /** Find the lesion that a line runs across, and ask to whom the part to its right goes. */
  beginCut(line) {
    const chosen = this.page.lesion();
    const part = chosen && this.page.seen(chosen) ? chosen : this.crossed(line);
    if (!part) {
      this.viewer.line = null;
      toast("The line crosses no lesion of this slice. Draw it across one.");
      return;
    }
    this.viewer.line = line;
    this.viewer.part = part;
    this.page.select(part, false);
    this.paintHint();
    this.viewer.draw();
  }

  crossed([[x0, y0], [x1, y1]]) {
    for (let share = 0; share <= 1; share += 0.02) {
      const at = this.viewer.toScreen(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share);
      const lesion = this.viewer.lesionAt(...at);
      if (lesion && this.page.seen(lesion)) return lesion;
    }
    return null;
  }

  endCut(value) {
    const { line, part, slice } = this.viewer;
    const owner = value ? `cut off to ${labelOf(value).short}` : "excluded";
    const change = { kind: "cut", lesion: part.id, line, label: value };
    if (this.oneSlice) change.slice = slice;
    this.choose("select");
    this.page.changes.edit(change, `Part of lesion ${part.id} (${labelOf(part.label).short}) ${owner}`);
  }

  flip() {
    this.viewer.line = [this.viewer.line[1], this.viewer.line[0]];
    this.viewer.draw();
  }

  thisSlice() {
    this.oneSlice = !this.oneSlice;
    this.paintHint();
  }

  /** Set the point under the crosshair: where to add, or one end of the line. */
  useCursor() {
    const { viewer } = this;
    const [slice, row, column] = viewer.cursor;
    if (viewer.tool === "add") {
      this.add([slice, row, column]);
      return;
    }
    const point = [column + 0.5, row + 0.5];
    if (viewer.line) this.beginCut([viewer.line[0], point]);
    else viewer.line = [point, point];
    viewer.draw();
  }

  /** Keys while a tool is chosen; says whether the key meant something. */
  keys(key, long) {
    const { viewer } = this;
    const step = long ? LONG_STEP : STEP;
    const moves = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] }[key];
    const label = [...LABELS, NOTHING].find((one) => one.key === key);
    const cutting = viewer.tool === "cut" && viewer.part;
    if (key === "Escape") this.choose("select");
    else if (moves) viewer.moveCursor(...moves);
    else if (key === "Enter" && viewer.cursor) this.useCursor();
    else if (viewer.tool === "add" && label?.value) this.chooseLabel(label.value);
    else if (cutting && label) this.endCut(label.value);
    else if (cutting && key === "f") this.flip();
    else if (cutting && key === "s") this.thisSlice();
    else return false;
    return true;
  }
}
