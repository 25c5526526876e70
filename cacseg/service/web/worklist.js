// The work list: studies as they come in, searched and sorted by the service.

import { element, fill, toast } from "./element.js";
import { listStudies } from "./service.js";
import { clockTime, dicomDate, number, personName, STATES } from "./words.js";

const COLUMNS = [
  { title: "Patient", sort: "patient_name" },
  { title: "Patient ID", sort: "patient_id" },
  { title: "Study date", sort: "study_date" },
  { title: "Received", sort: "received_at" },
  { title: "Agatston", sort: "agatston", right: true },
  { title: "Category" },
  { title: "Warnings", right: true },
  { title: "Version" },
  { title: "Status", sort: "state" },
];
const PAGE = 100;
const REFRESH_MS = 4000;

/** Shows the list until it is left. */
export class WorkList {
  constructor(place) {
    this.query = { search: "", sort: "received_at", order: "desc", offset: 0, limit: PAGE };
    this.body = element("tbody");
    this.count = element("span", { class: "quiet-text", role: "status" });
    this.search = element("input", {
      type: "search",
      placeholder: "Name, ID, accession or UID",
      "aria-label": "Search the work list",
      oninput: () => this.searchSoon(),
    });
    this.head = element("tr");
    this.pages = element("div", { class: "pages" });
    fill(
      place,
      element(
        "section",
        { class: "worklist", "aria-label": "Work list" },
        element("div", { class: "listbar" }, element("h1", {}, "Work list"), this.search, this.count),
        element("div", { class: "tablebox" }, element("table", {}, element("thead", {}, this.head), this.body)),
        this.pages,
      ),
    );
    this.paintHead();
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    clearTimeout(this.soon);
  }

  keys(event) {
    const rows = [...this.body.querySelectorAll("a")];
    const at = rows.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
    else if (event.key === "ArrowUp" || event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
    else if (event.key === "/") this.search.focus();
    else return false;
    return true;
  }

  searchSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => {
      Object.assign(this.query, { search: this.search.value, offset: 0 });
      this.load();
    }, 200);
  }

  sortBy(column) {
    const turned = this.query.sort === column && this.query.order === "asc" ? "desc" : "asc";
    Object.assign(this.query, { sort: column, order: turned, offset: 0 });
    this.paintHead();
    this.load();
  }

  paintHead() {
    fill(
      this.head,
      COLUMNS.map((column) => {
        const active = column.sort === this.query.sort;
        const direction = this.query.order === "asc" ? "ascending" : "descending";
        const arrow = active ? (this.query.order === "asc" ? " ▲" : " ▼") : "";
        const title = column.sort
          ? element("button", { type: "button", onclick: () => this.sortBy(column.sort) }, column.title + arrow)
          : column.title;
        return element(
          "th",
          { scope: "col", class: column.right ? "right" : "", "aria-sort": active ? direction : null },
          title,
        );
      }),
    );
  }

  async load() {
    const asked = JSON.stringify(this.query);
    try {
      const found = await listStudies(this.query);
      if (asked === JSON.stringify(this.query)) this.paint(found);
    } catch (error) {
      if (error.status === 401) location.reload();
      else if (!this.failed) toast(error.message, "fault");
      this.failed = true;
      return;
    }
    this.failed = false;
  }

  paint({ total, studies }) {
    const shown = JSON.stringify(studies);
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = document.activeElement?.dataset?.study;
    this.count.textContent = `${total} ${total === 1 ? "study" : "studies"}`;
    if (studies.length) fill(this.body, studies.map(row));
    else fill(this.body, element("tr", {}, element("td", { colspan: COLUMNS.length, class: "empty" }, this.nothing())));
    if (focused) this.body.querySelector(`[data-study="${CSS.escape(focused)}"]`)?.focus();
    const step = (offset, text) =>
      element("button", { type: "button", disabled: offset < 0 || offset >= total, onclick: () => this.turn(offset) }, text);
    fill(
      this.pages,
      total > PAGE && [step(this.query.offset - PAGE, "Previous"), step(this.query.offset + PAGE, "Next")],
    );
  }

  turn(offset) {
    this.query.offset = offset;
    this.load();
  }

  nothing() {
    return this.query.search
      ? "No study matches the search."
      : "No study yet. Send one by DICOM, by POST /api/studies, or into the watch folder.";
  }
}

function row(study) {
  const ready = study.state === "scored" || study.version > 0;
  const name = personName(study.patient_name);
  const open = element("a", { href: `#/study/${study.id}`, dataset: { study: study.id } }, name);
  return element(
    "tr",
    { class: ready ? "" : "pending", onclick: () => (location.hash = `#/study/${study.id}`) },
    element("td", {}, open),
    element("td", { class: "mono" }, study.patient_id || "—"),
    element("td", {}, dicomDate(study.study_date)),
    element("td", {}, clockTime(study.received_at)),
    element("td", { class: "right strong" }, number(study.agatston)),
    element("td", {}, study.category ? element("span", { class: "category", dataset: { category: study.category } }, study.category) : "—"),
    element("td", { class: "right" }, study.warnings ? element("span", { class: "warned" }, study.warnings) : "0"),
    element("td", {}, study.version ? `v${study.version}` : "—"),
    element("td", {}, element("span", { class: `state ${study.state}`, title: study.message || null }, STATES[study.state] || study.state)),
  );
}
