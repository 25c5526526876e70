// The keys of the reading page.

import { LABELS, NOTHING } from "./vessels.js";
import { SLABS, WINDOWS } from "./viewer.js";

const MOVE_PX = 40;

/** Do what a key means on the page of a study; says whether it meant something. */
export function studyKeys(page, event) {
  if (!page.review || !page.viewer.volume) return false;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return chords(page, key, event.shiftKey);
  if (page.viewer.tool !== "select" && page.tools.keys(key, event.shiftKey)) return true;
  if (event.shiftKey && key.startsWith("Arrow")) return movePicture(page.viewer, key);
  const label = [...LABELS, NOTHING].find((one) => one.key === key);
  const does = label ? () => page.changes.assign(label.value) : meaning(page, key, event.shiftKey);
  does?.();
  return Boolean(does);
}

function chords(page, key, shift) {
  if (key === "z" && !shift) page.changes.undo();
  else if (key === "y" || (key === "z" && shift)) page.changes.redo();
  else return false;
  return true;
}

function movePicture(viewer, key) {
  const ways = { ArrowLeft: [MOVE_PX, 0], ArrowRight: [-MOVE_PX, 0], ArrowUp: [0, MOVE_PX], ArrowDown: [0, -MOVE_PX] };
  viewer.moveBy(...ways[key]);
  return true;
}

function meaning(page, key, shift) {
  const { viewer, changes, tools } = page;
  return {
    ArrowUp: () => viewer.go(viewer.slice + 1),
    ArrowDown: () => viewer.go(viewer.slice - 1),
    PageUp: () => viewer.go(viewer.slice + 5),
    PageDown: () => viewer.go(viewer.slice - 5),
    Home: () => viewer.go(viewer.volume.slices - 1),
    End: () => viewer.go(0),
    n: () => page.next(1),
    p: () => page.next(-1),
    w: () => nextWindow(viewer, shift ? -1 : 1),
    m: () => viewer.setSlab(SLABS[(SLABS.indexOf(viewer.slab) + 1) % SLABS.length]),
    o: () => page.toggleOutlines(),
    a: () => tools.choose("add"),
    c: () => tools.choose("cut"),
    u: () => changes.undo(),
    r: () => changes.redo(),
    s: () => page.mayReview && !page.review.signed && changes.sign(),
    b: () => page.compare(true),
    "+": () => viewer.zoomBy(1.25),
    "=": () => viewer.zoomBy(1.25),
    "-": () => viewer.zoomBy(0.8),
    0: () => viewer.fit(),
    Escape: () => page.select(null, false),
    Delete: () => changes.assign(0),
  }[key];
}

function nextWindow(viewer, step) {
  const at = WINDOWS.findIndex((one) => one.name === viewer.window.name);
  const to = WINDOWS[(at + step + WINDOWS.length) % WINDOWS.length];
  viewer.setWindow(to.centre, to.width);
}

/** Keys within the list of lesions; says whether the key meant something. */
export function listKeys(page, event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    page.next(step);
    page.lesions.querySelector(".chosen")?.focus();
  } else if (event.key === "Enter" && page.lesion()) page.viewer.goTo(page.lesion().anchor);
  else return false;
  return true;
}
