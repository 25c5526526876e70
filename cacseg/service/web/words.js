// How numbers, names and times are written.

/** A DICOM person name as "Family, Given". */
export function personName(name) {
  const [family, ...given] = (name || "").split("=")[0].split("^");
  return [family, given.filter(Boolean).join(" ")].filter(Boolean).join(", ") || "—";
}

/** A DICOM date as 2026-03-01; anything else as it is. */
export function dicomDate(date) {
  return /^\d{8}$/.test(date || "") ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date || "—";
}

/** A time of the service in the reader's own clock. */
export function clockTime(iso) {
  if (!iso) return "—";
  const at = new Date(iso);
  const two = (value) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** A number with so many places; a dash where there is none. */
export function number(value, places = 1) {
  return value === null || value === undefined ? "—" : value.toFixed(places);
}

/** Slices as people count them, from 1: "38–41, 44". */
export function sliceRange(slices) {
  const parts = [];
  for (const slice of slices) {
    const last = parts.at(-1);
    if (last && slice === last[1] + 1) last[1] = slice;
    else parts.push([slice, slice]);
  }
  return parts.map(([first, last]) => (first === last ? `${first + 1}` : `${first + 1}–${last + 1}`)).join(", ");
}

export const STATES = {
  receiving: "Receiving",
  waiting: "Waiting",
  scoring: "Scoring",
  scored: "Scored",
  refused: "Refused",
  failed: "Failed",
  deleting: "Deleting",
};
