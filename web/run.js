"use strict";
// One recorded run: the JSON document (docs/trace.md) with names for its rows.

const INSN = "insn";

class Run {
  constructor(doc, index) {
    if (doc.format !== "vtlsim-trace" || doc.version !== 1) {
      throw new Error("This page reads version 1 of vtlsim-trace, not " + doc.version);
    }
    Object.assign(this, {index, doc, lanes: doc.lanes, kinds: doc.kinds, banks: doc.banks});
    this.cells = doc.cells.map(([bank, name, bits, initial]) => ({bank, name, bits, initial}));
    this.regions = doc.regions.map((r) => ({...r, address: parseInt(r.address, 16)}));
    this.payloads = new Map(doc.payloads.map((p) => [p.type, p]));
    this.labels = new Map(doc.labels);
    this.items = doc.items.map(([step, kind, lane, vp, vtl, rip, text, turn]) => (
      {step, kind, lane, vp, vtl, rip, text: doc.texts[text], turn}));
    this.insn = this.kinds.findIndex((k) => k.name === INSN);
    this.notes = doc.notes.map(([item, kind, text]) => ({item, kind, text}));
    this.notesOf = new Map();
    for (const n of this.notes) this.notesOf.set(n.item, [...(this.notesOf.get(n.item) ?? []), n]);
    this.alarms = [];
    this.items.forEach((it, i) => { if (this.kinds[it.kind].alarm) this.alarms.push(i); });
    this.firstOfStep = new Map();
    this.items.forEach((it, i) => {
      if (!this.firstOfStep.has(it.step)) this.firstOfStep.set(it.step, i);
    });
    this.code = doc.code.map(([address, vtl, label, text]) => ({address, vtl, label, text}));
    this.codeAt = new Map(this.code.map((c, i) => [c.address, i]));
  }

  get title() {
    const d = this.doc;
    return d.scenario + (d.variant ? " " + d.variant : "") +
      (d.schedule ? ", schedule " + d.schedule : "");
  }
  kind(i) { return this.kinds[this.items[i].kind]; }
  isInsn(i) { return this.items[i].kind === this.insn; }
  // The guest leaves; under KVM, where userspace sees it leave.
  isExit(i) {
    const name = this.kind(i).name;
    return name.startsWith("exit-") || name === "kvm-exit";
  }
  isSwitch(i) { return ["vtl-enter", "vtl-return", "bounce"].includes(this.kind(i).name); }

  // "mov al, dl", or "vtl-enter to=2 reason=intercept"
  text(i) {
    const it = this.items[i], kind = this.kind(i).name;
    if (this.isInsn(i)) return it.text;
    if (kind === "turn") return it.text;
    return it.text ? kind + " " + it.text : kind;
  }
  labelled(i) {
    const label = this.isInsn(i) ? this.labels.get(this.items[i].rip) : undefined;
    return label ? label + ": " + this.text(i) : this.text(i);
  }
  // The author's comment beside the code at an address.
  comment(address) {
    const line = this.codeAt.get(address);
    if (line === undefined) return "";
    const at = this.code[line].text.indexOf(";");
    return at < 0 ? "" : this.code[line].text.slice(at + 1).trim();
  }
  // The lane of the name that a VP uses, or -1.
  laneNamed(name, vp) {
    return this.lanes.findIndex((l) => l.name === name && (l.vp === vp || l.vp === -1));
  }
  targetLane(i) {
    const to = this.kind(i).to;
    return to ? this.laneNamed(to, this.items[i].vp) : -1;
  }
  // The item that a step number and a place in the step mean; the nearest where there is none.
  itemOf(step, place = 0) {
    let first = this.firstOfStep.get(step);
    if (first === undefined) {
      first = this.items.findIndex((it) => it.step >= step);
      return first < 0 ? this.items.length - 1 : first;
    }
    let i = first;
    while (place-- > 0 && i + 1 < this.items.length && this.items[i + 1].step === step) ++i;
    return i;
  }
  placeOf(i) { return i - this.firstOfStep.get(this.items[i].step); }
  find(from, direction, test) {
    for (let i = from + direction; i >= 0 && i < this.items.length; i += direction) {
      if (test(i)) return i;
    }
    return -1;
  }
}
