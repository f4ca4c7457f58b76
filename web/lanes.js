// The timeline: a column for each lane, a row for each thing that happens, drawn only where one
// looks. To a screen reader it is a list box.

const ROW = 24;

function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") e.className = value;
    else if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

class Timeline {
  // `select(item)` is called when a row is chosen.
  constructor(run, options) {
    this.run = run;
    this.options = options;
    this.expanded = false;
    this.current = 0;
    this.marked = -1;
    this.slots = [];
    // As measured: asking the browser at each step would make it lay the page out.
    Object.assign(this, {top: 0, height: 0, width: 0, across: 0, view: 0, active: ""});
    this.body = el("div", {class: "rows", role: "presentation"});
    this.box = el("div", {
      class: "timeline", role: "listbox", tabindex: "0", "aria-label": options.label,
      id: options.id,
      onscroll: () => { this.top = this.box.scrollTop; this.draw(); },
    }, this.body);
    this.head = el("div", {class: "lane-heads", "aria-hidden": "true"});
    this.map = el("canvas", {class: "map", "aria-hidden": "true", title: "Whole run; click to go"});
    this.map.addEventListener("click", (e) => {
      const share = e.offsetY / this.map.clientHeight;
      options.select(this.rowItem(Math.floor(share * this.rows.length)));
    });
    this.here = el("div", {class: "map-here", "aria-hidden": "true"});
    this.scroller = el("div", {class: "lane-scroll"}, this.head, this.box);
    this.root = el("div", {class: "lanes"}, this.scroller,
      el("div", {class: "map-box"}, this.map, this.here));
    this.body.addEventListener("mousedown", (e) => {
      const row = e.target.closest("[data-row]");
      if (!row) return;
      const r = this.rows[Number(row.dataset.row)];
      options.select(r.first);
    });
    for (const lane of run.lanes) {
      this.head.append(el("div", {class: "lane-head", title: LANES[lane.name] ?? ""}, lane.title));
    }
    this.layout();
    new ResizeObserver(() => {
      this.measure();
      this.draw();
      this.drawMap();
    }).observe(this.box);
  }

  // Rows: an item each, or instructions of one lane that follow each other as one.
  layout() {
    const run = this.run, rows = [];
    this.rowOf = new Uint32Array(run.items.length);
    run.items.forEach((item, i) => {
      const last = rows[rows.length - 1];
      const joins = !this.expanded && last && run.isInsn(i) && run.isInsn(last.first) &&
        run.items[last.first].lane === item.lane && last.last === i - 1 &&
        !run.notesOf.has(i) && !run.notesOf.has(last.first);
      if (joins) last.last = i; else rows.push({first: i, last: i});
      this.rowOf[i] = rows.length - 1;
    });
    this.rows = rows;
    this.body.style.height = rows.length * ROW + "px";
    const count = run.lanes.length;
    this.root.style.setProperty("--lanes", count);
    this.draw();
    this.drawMap();
  }
  measure() {
    this.height = this.box.clientHeight;
    this.width = this.box.clientWidth;
    this.view = this.scroller.clientWidth;
  }
  rowItem(row) { return this.rows[Math.max(0, Math.min(row, this.rows.length - 1))].first; }

  expand(on) {
    if (this.expanded === on) return;
    this.expanded = on;
    this.layout();
    this.show(this.current, true);
  }

  // Marks the item and brings it into view.
  show(item, centre = false) {
    const run = this.run;
    this.current = item;
    if (this.height === 0) this.measure();
    const top = this.rowOf[item] * ROW, height = this.height;
    const from = this.top, margin = Math.min(4 * ROW, height / 4);
    if (height > 0 && (centre || top < from + margin || top + ROW > from + height - margin)) {
      const far = centre || top < from - height || top > from + 2 * height;
      const to = far ? top - height / 2.5
        : top < from + margin ? top - margin : top + ROW - height + margin;
      this.top = Math.max(0, Math.min(to, this.rows.length * ROW - height));
      this.box.scrollTop = this.top;
    }
    // Lanes that have no room are beside: the one that acts is to be seen.
    if (this.width > this.view) {
      const lane = run.items[item].lane;
      const left = 52 + (this.width - 52) * lane / run.lanes.length, right = left + 180;
      if (left < this.across + 52) this.across = Math.max(0, left - 60);
      else if (right > this.across + this.view) this.across = right - this.view;
      this.scroller.scrollLeft = this.across;
    }
    this.draw();
    this.drawMap();
  }

  #slot(n) {
    while (this.slots.length <= n) {
      const bar = el("div", {class: "bar"}), step = el("span", {class: "step"});
      const arrow = el("div", {class: "arrow"});
      const flag = el("span", {class: "flag"});
      const row = el("div", {class: "row", role: "option"}, step, arrow, bar, flag);
      this.body.append(row);
      this.slots.push({row, step, bar, arrow, flag, shown: ""});
    }
    return this.slots[n];
  }

  describe(row) {
    const run = this.run, item = run.items[row.first];
    if (row.last === row.first) return run.labelled(row.first);
    const label = run.labels.get(item.rip);
    return (row.last - row.first + 1) + " instructions" + (label ? " from " + label : "");
  }

  draw(all = false) {
    const run = this.run;
    const first = all ? 0 : Math.max(0, Math.floor(this.top / ROW) - 6);
    const visible = all ? this.rows.length : Math.ceil((this.height || 600) / ROW) + 12;
    const end = Math.min(this.rows.length, first + visible);
    const selected = this.rowOf[this.current];
    // A row keeps its element while it is in view.
    const ring = Math.max(visible, this.slots.length);
    const used = new Set();
    let active = "";
    for (let n = first; n < end; ++n) {
      used.add(n % ring);
      const slot = this.#slot(n % ring), row = this.rows[n], item = run.items[row.first];
      const key = n + (this.expanded ? "+" : "-") + (n === selected ? "s" + this.current : "") +
        (this.marked >= 0 && this.rowOf[this.marked] === n ? "m" : "");
      if (n === selected) active = this.options.id + "-row-" + n;
      if (slot.shown === key) continue;
      slot.shown = key;
      slot.row.hidden = false;
      const kind = run.kinds[item.kind], notes = run.notesOf.get(row.first);
      const failed = notes?.some((x) => x.kind === "failure");
      slot.row.id = this.options.id + "-row-" + n;
      slot.row.dataset.row = n;
      slot.row.className = "row vtl" + item.vtl + (n === selected ? " selected" : "") +
        (kind.alarm || failed ? " alarm" : "") + (run.isInsn(row.first) ? " insn" : "") +
        (notes ? " noted" : "") +
        (this.marked >= 0 && this.rowOf[this.marked] === n ? " first-difference" : "");
      slot.row.style.transform = "translateY(" + n * ROW + "px)";
      slot.row.setAttribute("aria-selected", n === selected ? "true" : "false");
      slot.row.setAttribute("aria-posinset", n + 1);
      slot.row.setAttribute("aria-setsize", this.rows.length);
      const text = this.describe(row);
      const inside = n === selected && row.last > row.first
        ? " (" + (this.current - row.first + 1) + " of " + (row.last - row.first + 1) + ": " +
          run.text(this.current) + ")" : "";
      slot.row.setAttribute("aria-label", "Step " + item.step + ", " +
        run.lanes[item.lane].title + ": " + text + inside +
        (notes ? ". " + notes.map((x) => x.text).join(" ") : ""));
      slot.step.textContent = item.step;
      slot.bar.textContent = inside ? run.labelled(this.current) : text;
      slot.bar.dataset.count = inside
        ? this.current - row.first + 1 + "/" + (row.last - row.first + 1) : "";
      slot.bar.title = text;
      slot.bar.className = "bar lane-" + run.lanes[item.lane].name;
      slot.bar.style.setProperty("--lane", item.lane);
      const to = run.targetLane(row.first);
      slot.arrow.hidden = to < 0 || to === item.lane;
      if (!slot.arrow.hidden) {
        slot.arrow.className = "arrow " + (to > item.lane ? "right" : "left");
        slot.arrow.style.setProperty("--from", item.lane);
        slot.arrow.style.setProperty("--to", to);
      }
      slot.flag.textContent = failed ? "✗ failed" : kind.alarm ? "✗" : notes ? "out of order" : "";
      slot.flag.style.setProperty("--lane", item.lane);
      slot.flag.hidden = !slot.flag.textContent;
      slot.flag.classList.toggle("leftward", item.lane >= run.lanes.length - 1);
    }
    this.slots.forEach((slot, n) => {
      if (used.has(n) || slot.shown === "") return;
      slot.shown = "";
      slot.row.hidden = true;
      slot.row.removeAttribute("id");
      slot.row.setAttribute("aria-selected", "false");
    });
    if (active === this.active) return;
    this.active = active;
    if (active) this.box.setAttribute("aria-activedescendant", active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  // The whole run in a strip: a colour for each lane, a line where one is.
  drawMap() {
    const c = this.map, ratio = devicePixelRatio || 1;
    const width = Math.round(14 * ratio);
    const height = Math.max(1, Math.round(this.height * ratio));
    if (c.width !== width || c.height !== height || this.mapRows !== this.rows) {
      c.width = width;
      c.height = height;
      this.mapRows = this.rows;
      const style = getComputedStyle(this.root), g = c.getContext("2d");
      const colours = this.run.lanes.map((l) => style.getPropertyValue("--map-" + l.name) || "#888");
      const rows = this.rows.length;
      for (let y = 0; y < height; ++y) {
        const row = this.rows[Math.floor(y / height * rows)];
        g.fillStyle = colours[this.run.items[row.first].lane];
        g.fillRect(0, y, width, 1);
      }
      const mark = (i, colour) => {
        g.fillStyle = style.getPropertyValue(colour);
        g.fillRect(0, Math.floor(this.rowOf[i] / rows * height) - ratio, width, 3 * ratio);
      };
      for (const n of this.run.notes) mark(n.item, n.kind === "failure" ? "--alarm" : "--note");
      for (const i of this.run.alarms) mark(i, "--alarm");
    }
    this.here.style.transform =
      "translateY(" + this.rowOf[this.current] / this.rows.length * height / ratio + "px)";
  }
  recolour() { this.mapRows = null; this.drawMap(); }
}

// What a newcomer asks of each lane.
const LANES = {
  guest: "The virtual machine's own code. It runs in VTL0, the least privileged level.",
  hypervisor: "Switches between VTLs, keeps the registers that belong to one of them alone, and " +
    "writes down what the guest was doing when it had to leave (the intercept message).",
  vtl2: "A small kernel in VTL2, the more privileged level of the same virtual machine. It runs " +
    "the guest and reports each intercept to the VMM.",
  driver: "The Linux driver on another CPU that starts and stops the VTL2 kernel, and notices " +
    "when it has finished.",
  vmm: "The virtual machine monitor: decides what each intercept means, and asks devices.",
  device: "What answers at I/O ports.",
};
