// What the viewer draws: the picture under its window, outlines, the tool in hand, directions and a scale.

import { labelOf } from "./vessels.js";

const FAR_PX = 4000;
const SMOOTH_BELOW = 10;

/** Draw everything of one frame. */
export function paint(viewer, context, box) {
  paintPicture(viewer, context);
  if (viewer.outlines) paintOutlines(viewer, context);
  paintTool(viewer, context);
  paintDirections(viewer, context, box);
  paintScale(viewer, context, box);
}

function paintPicture(viewer, context) {
  const { centre, width } = viewer.window;
  const low = centre - width / 2;
  const gain = 255 / width;
  const values = viewer.volume.pixels(viewer.slice, viewer.slab);
  const pixels = viewer.pixels;
  for (let index = 0; index < values.length; index++) {
    let grey = ((values[index] - low) * gain) | 0;
    grey = grey < 0 ? 0 : grey > 255 ? 255 : grey;
    pixels[index] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  viewer.picture.getContext("2d").putImageData(viewer.image, 0, 0);
  const [across, down] = viewer.scale();
  const [left, top] = viewer.origin();
  context.imageSmoothingEnabled = across < SMOOTH_BELOW;
  context.imageSmoothingQuality = "medium";
  context.drawImage(viewer.picture, left, top, viewer.volume.columns * across, viewer.volume.rows * down);
}

function paintOutlines(viewer, context) {
  const [first, last] = viewer.volume.slab(viewer.slice, viewer.slab);
  const seen = (slice) => slice >= first && slice <= last;
  context.lineJoin = "round";
  for (const lesion of viewer.excluded) {
    context.setLineDash([3, 3]);
    for (const [slice, points] of lesion.outlines) if (seen(slice)) trace(viewer, context, points, "#ff5a5a", 1.5);
  }
  context.setLineDash([]);
  for (const lesion of viewer.lesions) {
    const chosen = lesion.id === viewer.selected;
    for (const [slice, points] of lesion.outlines) {
      if (!seen(slice)) continue;
      if (chosen) trace(viewer, context, points, "#ffffff", 4.5);
      trace(viewer, context, points, labelOf(lesion.label).colour, chosen ? 2.5 : 1.75);
      if (chosen) number(viewer, context, lesion, points);
    }
  }
}

function trace(viewer, context, points, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(viewer.path(points));
}

/** The number of the chosen lesion beside its outline. */
function number(viewer, context, lesion, points) {
  const right = points.filter((_, at) => at % 2 === 0).reduce((a, b) => Math.max(a, b));
  const top = points.filter((_, at) => at % 2 === 1).reduce((a, b) => Math.min(a, b));
  const [x, y] = viewer.toScreen(right, top);
  context.font = "600 13px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "bottom";
  write(context, `${lesion.id} ${labelOf(lesion.label).short}`, x + 5, y - 2);
}

/** Light letters with a dark edge, to be read on anything. */
function write(context, text, x, y) {
  context.lineWidth = 3;
  context.strokeStyle = "#000";
  context.strokeText(text, x, y);
  context.fillStyle = "#e3eaf0";
  context.fillText(text, x, y);
}

/** A bar of 5 cm, or of 1 cm where that is too long, at the lower right. */
function paintScale(viewer, context, box) {
  const perMm = viewer.scale()[0] / viewer.volume.spacing[2];
  const mm = 50 * perMm < box.width / 3 ? 50 : 10;
  const [right, bottom] = [box.width - 14, box.height - 14];
  context.strokeStyle = "#c8d2da";
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(right - mm * perMm, bottom - 5);
  context.lineTo(right - mm * perMm, bottom);
  context.lineTo(right, bottom);
  context.lineTo(right, bottom - 5);
  context.stroke();
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "bottom";
  write(context, `${mm / 10} cm`, right, bottom - 7);
}

/** The crosshair, and the line of a cut with the part to the right of it. */
function paintTool(viewer, context) {
  if (viewer.cursor) paintCrosshair(context, viewer.toScreen(viewer.cursor[2] + 0.5, viewer.cursor[1] + 0.5));
  if (!viewer.line) return;
  const [start, end] = viewer.line.map((point) => viewer.toScreen(...point));
  if (viewer.part) paintPart(viewer, context, start, end);
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1.5;
  context.setLineDash([6, 4]);
  context.beginPath();
  context.moveTo(...start);
  context.lineTo(...end);
  context.stroke();
  context.setLineDash([]);
}

function paintCrosshair(context, [x, y]) {
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1;
  context.beginPath();
  for (const [across, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 3 * across, y + 3 * down);
    context.lineTo(x + 12 * across, y + 12 * down);
  }
  context.stroke();
}

/** Light up what lies to the right of a line, seen from its start; the service takes the same part. */
function paintPart(viewer, context, [x0, y0], [x1, y1]) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [alongX, alongY] = [((x1 - x0) / length) * FAR_PX, ((y1 - y0) / length) * FAR_PX];
  const half = new Path2D();
  half.moveTo(x0 - alongX, y0 - alongY);
  half.lineTo(x0 + alongX, y0 + alongY);
  half.lineTo(x0 + alongX - alongY, y0 + alongY + alongX);
  half.lineTo(x0 - alongX - alongY, y0 - alongY + alongX);
  half.closePath();
  context.save();
  context.clip(half);
  context.fillStyle = "rgba(0, 200, 255, 0.6)";
  for (const [slice, points] of viewer.part.outlines) if (slice === viewer.slice) context.fill(viewer.path(points));
  context.restore();
}

function paintDirections(viewer, context, box) {
  const names = viewer.volume.directions();
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "center";
  write(context, names.left, 14, box.height / 2);
  write(context, names.right, box.width - 14, box.height / 2);
  write(context, names.top, box.width / 2, 14);
  write(context, names.bottom, box.width / 2, box.height - 14);
}
