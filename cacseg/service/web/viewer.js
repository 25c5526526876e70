// The axial viewer: one canvas with the picture, the outlines of the lesions and the facts of the slice.

import { paint } from "./drawing.js";
import { listen } from "./pointer.js";

export const WINDOWS = [
  { name: "Calcium", centre: 130, width: 600 },
  { name: "Mediastinum", centre: 40, width: 400 },
  { name: "Lung", centre: -600, width: 1500 },
  { name: "Bone", centre: 400, width: 1800 },
];
export const SLABS = [1, 3, 5, 10];
const LARGEST_ZOOM = 24;

/** Draws a volume and its lesions, and turns mouse and wheel into what they mean. */
export class Viewer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} told listeners: moved(), picked(lesion|null), pointed([slice,row,column]), lined([[x,y],[x,y]])
   */
  constructor(canvas, told) {
    this.canvas = canvas;
    this.told = told;
    this.context = canvas.getContext("2d", { alpha: false });
    this.picture = document.createElement("canvas");
    this.volume = null;
    this.lesions = [];
    this.excluded = [];
    this.slice = 0;
    this.slab = 1;
    this.window = { ...WINDOWS[0] };
    this.zoom = 1;
    this.shift = [0, 0];
    this.selected = null;
    this.outlines = true;
    this.tool = "select";
    this.cursor = null;
    this.pointer = null;
    this.line = null;
    this.part = null;
    this.frames = 0;
    this.waiting = false;
    listen(this);
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(volume) {
    this.volume = volume;
    this.picture.width = volume.columns;
    this.picture.height = volume.rows;
    this.image = this.picture.getContext("2d").createImageData(volume.columns, volume.rows);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.slice = Math.floor(volume.slices / 2);
    this.fit();
  }

  setLesions(lesions, excluded) {
    this.lesions = lesions;
    this.excluded = excluded;
    this.draw();
  }

  fit() {
    this.zoom = 1;
    this.shift = [0, 0];
    this.draw();
  }

  go(slice) {
    if (!this.volume) return;
    this.slice = Math.max(0, Math.min(this.volume.slices - 1, Math.round(slice)));
    if (this.cursor) this.cursor[0] = this.slice;
    this.draw();
    this.told.moved();
  }

  /** Bring a voxel into view; a picture that is larger than the canvas is moved to it. */
  goTo([slice, row, column]) {
    this.go(slice);
    if (this.zoom > 1.05) {
      const [x, y] = this.toScreen(column + 0.5, row + 0.5);
      const { width, height } = this.canvas.getBoundingClientRect();
      this.shift[0] += width / 2 - x;
      this.shift[1] += height / 2 - y;
      this.draw();
    }
  }

  setWindow(centre, width) {
    this.window = { name: "", centre, width: Math.max(1, width) };
    const preset = WINDOWS.find((one) => one.centre === centre && one.width === width);
    if (preset) this.window.name = preset.name;
    this.draw();
    this.told.moved();
  }

  setSlab(slices) {
    this.slab = slices;
    this.draw();
    this.told.moved();
  }

  setTool(tool) {
    this.tool = tool;
    this.line = null;
    this.part = null;
    this.cursor = null;
    this.canvas.dataset.tool = tool;
    this.draw();
  }

  zoomBy(factor, x, y) {
    const box = this.canvas.getBoundingClientRect();
    const [atX, atY] = [x ?? box.width / 2, y ?? box.height / 2];
    const before = this.toPixel(atX, atY);
    this.zoom = Math.max(0.5, Math.min(LARGEST_ZOOM, this.zoom * factor));
    const [nowX, nowY] = this.toScreen(...before);
    this.shift[0] += atX - nowX;
    this.shift[1] += atY - nowY;
    this.draw();
  }

  moveBy(x, y) {
    this.shift[0] += x;
    this.shift[1] += y;
    this.draw();
  }

  /** Move the crosshair of the tools by keys; it begins in the middle of what is seen. */
  moveCursor(rows, columns) {
    if (!this.cursor) {
      const box = this.canvas.getBoundingClientRect();
      const [x, y] = this.toPixel(box.width / 2, box.height / 2);
      this.cursor = [this.slice, Math.floor(y), Math.floor(x)];
    }
    this.cursor[1] = Math.max(0, Math.min(this.volume.rows - 1, this.cursor[1] + rows));
    this.cursor[2] = Math.max(0, Math.min(this.volume.columns - 1, this.cursor[2] + columns));
    this.draw();
  }

  /** Pixels of the canvas for one pixel of the picture, across and down. */
  scale() {
    const { rows, columns, spacing } = this.volume;
    const box = this.canvas.getBoundingClientRect();
    const [, rowMm, columnMm] = spacing;
    const mm = Math.min(box.width / (columns * columnMm), box.height / (rows * rowMm)) * this.zoom;
    return [mm * columnMm, mm * rowMm];
  }

  origin() {
    const [across, down] = this.scale();
    const box = this.canvas.getBoundingClientRect();
    return [
      (box.width - this.volume.columns * across) / 2 + this.shift[0],
      (box.height - this.volume.rows * down) / 2 + this.shift[1],
    ];
  }

  toScreen(x, y) {
    const [across, down] = this.scale();
    const [left, top] = this.origin();
    return [left + x * across, top + y * down];
  }

  toPixel(x, y) {
    const [across, down] = this.scale();
    const [left, top] = this.origin();
    return [(x - left) / across, (y - top) / down];
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (!this.volume) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(this, context, box);
    this.frames += 1;
    this.canvas.dataset.slice = this.slice;
    this.canvas.dataset.frames = this.frames;
  }

  /** A closed line in pixels as a path on the canvas. */
  path(points) {
    const path = new Path2D();
    for (let at = 0; at < points.length; at += 2) path.lineTo(...this.toScreen(points[at], points[at + 1]));
    path.closePath();
    return path;
  }

  /** The lesion under a point of the canvas, the smallest one where several overlap in a slab. */
  lesionAt(x, y) {
    const [first, last] = this.volume.slab(this.slice, this.slab);
    let found = null;
    for (const lesion of this.lesions) {
      for (const [slice, points] of lesion.outlines) {
        if (slice < first || slice > last) continue;
        const path = this.path(points);
        this.context.lineWidth = 8;
        const ratio = window.devicePixelRatio || 1;
        const hit =
          this.context.isPointInPath(path, x * ratio, y * ratio) ||
          this.context.isPointInStroke(path, x * ratio, y * ratio);
        if (hit && (!found || lesion.area_mm2 < found.area_mm2)) found = lesion;
      }
    }
    return found;
  }

  /** The voxel under a point of the canvas, null outside; in a slab the brightest one behind it. */
  voxelAt(x, y) {
    const [column, row] = this.toPixel(x, y).map(Math.floor);
    if (row < 0 || column < 0 || row >= this.volume.rows || column >= this.volume.columns) return null;
    const [first, last] = this.volume.slab(this.slice, this.slab);
    let slice = this.slice;
    for (let index = first; index <= last; index++) {
      if (this.volume.at(index, row, column) > this.volume.at(slice, row, column)) slice = index;
    }
    return [slice, row, column];
  }
}
