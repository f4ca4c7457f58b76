// Two runs: where they part, and which step of one belongs to a step of the other.

function sameItem(a, i, b, j) {
  const x = a.items[i], y = b.items[j];
  return x.step === y.step && x.lane === y.lane && x.vp === y.vp && x.vtl === y.vtl &&
    x.rip === y.rip && a.text(i) === b.text(j);
}
function sameWrites(s, i, t, j) {
  const x = s.writesOf(i), y = t.writesOf(j);
  return x.length === y.length && x.every((w, n) => {
    const v = y[n];
    return s.nameOf(placeOf(w), i) === t.nameOf(placeOf(v), j) &&
      (w.value ?? w.bytes) === (v.value ?? v.bytes);
  });
}
function placeOf(w) {
  return w.cell !== undefined ? {cell: w.cell} : {address: w.address, size: w.size};
}

class Comparison {
  constructor(a, b, s, t) {
    Object.assign(this, {a, b, s, t});
    const end = Math.min(a.items.length, b.items.length);
    let i = 0;
    while (i < end && sameItem(a, i, b, i) && sameWrites(s, i, t, i)) ++i;
    this.equal = i === end && a.items.length === b.items.length;
    this.first = this.equal ? -1 : Math.min(i, end - 1);
  }
  // The other run's item; behind the first difference the next that looks the same nearby.
  counterpart(from, to, item) {
    const last = to.items.length - 1;
    if (this.first < 0 || item <= this.first) return Math.min(item, last);
    const it = from.items[item];
    const near = Math.min(item, last);
    for (let d = 0; d < 400; ++d) {
      for (const j of [near + d, near - d]) {
        if (j <= this.first || j > last) continue;
        const y = to.items[j];
        if (y.lane === it.lane && y.rip === it.rip && y.kind === it.kind) return j;
      }
    }
    return near;
  }
  text() {
    if (this.equal) return "The two runs are the same.";
    const i = this.first, a = this.a, b = this.b;
    const events = !sameItem(a, i, b, i);
    const line = (run) => "step " + run.items[i].step + ", " +
      run.lanes[run.items[i].lane].title + ": " + run.labelled(i);
    if (events) return "First difference: left " + line(a) + "; right " + line(b) + ".";
    return "First difference: " + line(a) + ", which leaves other values.";
  }
  // What the two runs write in the first step that differs.
  values() {
    if (this.equal) return [];
    const rows = new Map();
    for (const [state, side] of [[this.s, 0], [this.t, 1]]) {
      for (const w of state.writesOf(this.first)) {
        const name = state.nameOf(placeOf(w), this.first);
        const row = rows.get(name) ?? ["", ""];
        row[side] = w.cell !== undefined || w.size <= 16
          ? hex(state.valueAt(placeOf(w), this.first)) : w.size + " bytes";
        rows.set(name, row);
      }
    }
    return [...rows].filter(([, [x, y]]) => x !== y).map(([name, v]) => [name, ...v]);
  }
}
