// Elements made by code. Text goes in as text, never as markup, so that nothing from a DICOM tag can run.

/**
 * Make an element.
 * @param {string} name tag name
 * @param {object} [facts] attributes; "on..." are listeners, "dataset" and "style" are maps, true and false toggle
 * @param {...(Node|string|number|null|undefined|Array)} content children; strings and numbers become text
 * @returns {HTMLElement}
 */
export function element(name, facts = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(made.dataset, value);
    else if (key === "style") for (const [rule, to] of Object.entries(value)) made.style.setProperty(rule, to);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...content.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

/** Put new content into an element in place of the old. */
export function fill(parent, ...content) {
  parent.replaceChildren(...content.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
}

/** Say something to people who listen to the page. */
export function announce(text) {
  document.getElementById("said").textContent = text;
}

/** Show a message for a few seconds; a fault stays until it is closed. */
export function toast(text, kind = "note") {
  const box = element("div", { class: `toast ${kind}` }, text);
  if (kind === "fault") {
    box.append(element("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => box.remove() }, "×"));
  } else {
    setTimeout(() => box.remove(), 5000);
  }
  document.getElementById("toasts").append(box);
}

/**
 * Open a dialog and wait for its end.
 * @param {string} title
 * @param {(close: (answer: any) => void) => (Node|string)[]} build makes the content
 * @param {string} [kind] class of the dialog
 * @returns {Promise<any>} what close was called with, null when it was left by Escape
 */
export function dialog(title, build, kind = "") {
  return new Promise((resolve) => {
    let answer = null;
    const box = element("dialog", { class: kind, "aria-label": title });
    const close = (value) => {
      answer = value;
      box.close();
    };
    box.append(element("h2", {}, title), ...build(close));
    box.addEventListener("close", () => {
      box.remove();
      resolve(answer);
    });
    box.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(box);
    box.showModal();
  });
}
