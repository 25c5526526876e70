// Voxels on their grid: slices, slabs, where an index lies in the patient.

/** A volume of Hounsfield units, int16, in the order slice, row, column; the affine gives LPS mm. */
export class Volume {
  constructor(header, voxels) {
    [this.slices, this.rows, this.columns] = header.shape;
    this.spacing = header.spacing_mm;
    this.affine = header.affine;
    this.voxels = voxels;
    this.plane = new Int16Array(this.rows * this.columns);
    this.planeKey = "";
  }

  /** HU of one voxel. */
  at(slice, row, column) {
    return this.voxels[(slice * this.rows + row) * this.columns + column];
  }

  /** First and last slice of a slab of so many slices around one. */
  slab(slice, thickness) {
    const before = Math.floor((thickness - 1) / 2);
    const first = Math.max(0, Math.min(slice - before, this.slices - thickness));
    return [first, Math.min(this.slices - 1, first + thickness - 1)];
  }

  /** One plane: the slice itself, or the highest value through a slab. The array is used again by the next call. */
  pixels(slice, thickness) {
    const size = this.rows * this.columns;
    if (thickness === 1) return this.voxels.subarray(slice * size, (slice + 1) * size);
    const key = `${slice}/${thickness}`;
    if (key === this.planeKey) return this.plane;
    const [first, last] = this.slab(slice, thickness);
    this.plane.set(this.voxels.subarray(first * size, (first + 1) * size));
    for (let index = first + 1; index <= last; index++) {
      const next = this.voxels.subarray(index * size, (index + 1) * size);
      for (let pixel = 0; pixel < size; pixel++) if (next[pixel] > this.plane[pixel]) this.plane[pixel] = next[pixel];
    }
    this.planeKey = key;
    return this.plane;
  }

  /** LPS mm of a voxel, fractions allowed. */
  world(slice, row, column) {
    return this.affine.slice(0, 3).map((line) => line[0] * slice + line[1] * row + line[2] * column + line[3]);
  }

  /** Letters of the patient's directions at the right and the lower edge: "L", "P", or two for an oblique plane. */
  directions() {
    const letters = [["L", "R"], ["P", "A"], ["H", "F"]];
    const name = (axis) => {
      const along = this.affine.slice(0, 3).map((line) => line[axis]);
      const length = Math.hypot(...along);
      return [0, 1, 2]
        .filter((world) => Math.abs(along[world]) > 0.35 * length)
        .sort((a, b) => Math.abs(along[b]) - Math.abs(along[a]))
        .map((world) => letters[world][along[world] > 0 ? 0 : 1])
        .join("");
    };
    const other = { L: "R", R: "L", P: "A", A: "P", H: "F", F: "H" };
    const right = name(2);
    const bottom = name(1);
    const turned = (text) => [...text].map((letter) => other[letter]).join("");
    return { right, bottom, left: turned(right), top: turned(bottom) };
  }
}
