// Mouse and wheel on the picture: scroll, zoom, move, window, pick, add, cut.

const CLICK_PX = 4;
const WHEEL_PX = 50;
const ZOOM_PX = 300;

/** Turn what the mouse does into what it means for a viewer. */
export function listen(viewer) {
  const { canvas } = viewer;
  let rest = 0;
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (!viewer.volume) return;
      if (event.ctrlKey) {
        viewer.zoomBy(Math.exp(-event.deltaY / ZOOM_PX), event.offsetX, event.offsetY);
        return;
      }
      rest += event.deltaMode === 0 ? event.deltaY / WHEEL_PX : event.deltaY;
      const steps = Math.trunc(rest);
      rest -= steps;
      if (steps) viewer.go(viewer.slice - steps);
    },
    { passive: false },
  );
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => press(viewer, event));
  canvas.addEventListener("pointermove", (event) => move(viewer, event));
  canvas.addEventListener("pointerup", (event) => release(viewer, event));
  canvas.addEventListener("pointerleave", () => {
    viewer.pointer = null;
    viewer.told.moved();
  });
}

function press(viewer, event) {
  if (!viewer.volume) return;
  viewer.canvas.focus();
  viewer.canvas.setPointerCapture(event.pointerId);
  viewer.held = { x: event.offsetX, y: event.offsetY, lastX: event.offsetX, lastY: event.offsetY, button: event.button };
  if (viewer.tool === "cut" && event.button === 0) {
    const start = viewer.toPixel(event.offsetX, event.offsetY);
    viewer.line = [start, start];
    viewer.part = null;
  }
}

function move(viewer, event) {
  if (!viewer.volume) return;
  viewer.pointer = [event.offsetX, event.offsetY];
  const held = viewer.held;
  if (!held) {
    viewer.told.moved();
    return;
  }
  const [dx, dy] = [event.offsetX - held.lastX, event.offsetY - held.lastY];
  [held.lastX, held.lastY] = viewer.pointer;
  if (held.button === 2) viewer.setWindow(viewer.window.centre + dy * 2, viewer.window.width + dx * 4);
  else if (viewer.tool === "cut" && held.button === 0) {
    viewer.line = [viewer.line[0], viewer.toPixel(event.offsetX, event.offsetY)];
    viewer.draw();
  } else viewer.moveBy(dx, dy);
}

function release(viewer, event) {
  const held = viewer.held;
  viewer.held = null;
  if (!held || !viewer.volume) return;
  const still = Math.hypot(event.offsetX - held.x, event.offsetY - held.y) < CLICK_PX;
  if (held.button !== 0) return;
  if (viewer.tool === "cut") {
    if (still) viewer.line = null;
    else viewer.told.lined(viewer.line);
    viewer.draw();
  } else if (still && viewer.tool === "add") {
    const voxel = viewer.voxelAt(event.offsetX, event.offsetY);
    if (voxel) viewer.told.pointed(voxel);
  } else if (still) viewer.told.picked(viewer.lesionAt(event.offsetX, event.offsetY));
}
