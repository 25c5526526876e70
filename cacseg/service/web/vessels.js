// What calcium can belong to: values of the label map, names, colours (those of cacseg/vessels.py).

export const LABELS = [
  { value: 1, key: "1", short: "LM", name: "Left main", colour: "#e69f00", coronary: true },
  { value: 2, key: "2", short: "LAD", name: "Left anterior descending", colour: "#d55e00", coronary: true },
  { value: 3, key: "3", short: "LCX", name: "Left circumflex", colour: "#56b4e9", coronary: true },
  { value: 4, key: "4", short: "RCA", name: "Right coronary", colour: "#009e73", coronary: true },
  { value: 5, key: "5", short: "AV", name: "Aortic valve", colour: "#cc79a7", coronary: false },
  { value: 6, key: "6", short: "MA", name: "Mitral annulus", colour: "#f0e442", coronary: false },
  { value: 7, key: "7", short: "Aorta", name: "Aorta", colour: "#0072b2", coronary: false },
  { value: 8, key: "8", short: "Other", name: "Other calcium", colour: "#999999", coronary: false },
];

export const NOTHING = { value: 0, key: "x", short: "Exclude", name: "Exclude: no calcium that counts", colour: "#777777", coronary: false };

export const STRUCTURES = { aortic_valve: 5, mitral_annulus: 6, aorta: 7, other: 8 };

export const labelOf = (value) => LABELS.find((one) => one.value === value) || NOTHING;
