// The page: who is signed in, which part is shown, light or dark, keys.

import { showKeys } from "./dialogs.js";
import { element, fill, toast } from "./element.js";
import { leave, session } from "./service.js";
import { StudyPage } from "./study.js";
import { WorkList } from "./worklist.js";

const place = (id) => document.getElementById(id);
const page = { who: null, part: null };

function theme(next) {
  const kept = next ?? localStorage.getItem("cacseg-theme");
  if (kept) {
    document.documentElement.dataset.theme = kept;
    localStorage.setItem("cacseg-theme", kept);
  }
}

function otherTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
}

function showSignIn(message) {
  page.part?.leave();
  page.part = null;
  place("leave").hidden = true;
  fill(place("who"));
  fill(place("heading"));
  fill(place("actions"));
  const token = element("input", { type: "password", name: "token", required: true, autocomplete: "off", autofocus: true, "aria-describedby": "signin-help" });
  const form = element(
    "form",
    {
      class: "signin",
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          begin(await session(token.value.trim()));
        } catch (error) {
          showSignIn(error.message);
        }
      },
    },
    element("h1", {}, "Sign in"),
    message && element("p", { class: "warned", role: "alert" }, message),
    element("label", {}, "Token", token),
    element("p", { id: "signin-help", class: "quiet-text" }, "Made by “cacseg serve token add NAME --role review”. It stays out of scripts' reach."),
    element("button", { type: "submit", class: "primary" }, "Sign in"),
  );
  fill(place("content"), form);
  token.focus();
}

function begin(who) {
  page.who = who;
  fill(place("who"), who.name);
  place("leave").hidden = false;
  route();
}

function route() {
  if (!page.who) return;
  page.part?.leave();
  const study = /^#\/study\/([0-9a-f]{32})$/.exec(location.hash);
  document.title = "cacseg";
  page.part = study
    ? new StudyPage(study[1], page.who, { content: place("content"), heading: place("heading"), actions: place("actions") })
    : new WorkList(place("content"));
}

function typing(target) {
  return target.matches("input:not([type=range]), textarea, select");
}

function keys(event) {
  if (document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.altKey) return;
  const plain = !event.ctrlKey && !event.metaKey;
  if (plain && event.key === "?") showKeys();
  else if (plain && event.key.toLowerCase() === "t") otherTheme();
  else if (plain && event.key.toLowerCase() === "l" && page.who) location.hash = "#/";
  else if (!page.part?.keys?.(event)) return;
  event.preventDefault();
}

theme();
place("theme").addEventListener("click", otherTheme);
place("help").addEventListener("click", showKeys);
place("leave").addEventListener("click", async () => {
  await leave().catch(() => null);
  page.who = null;
  location.hash = "#/";
  showSignIn();
});
document.addEventListener("keydown", keys);
document.addEventListener("keyup", (event) => page.part?.released?.(event));
window.addEventListener("hashchange", route);
window.addEventListener("unhandledrejection", (event) => toast(String(event.reason?.message || event.reason), "fault"));
session().then(begin, (error) => showSignIn(error.status === 401 ? "" : error.message));
