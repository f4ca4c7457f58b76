// What is beside the timeline: the step, where values come from, code, registers, structures,
// memory.

const MAIN_REGISTERS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
  "r11", "r12", "r13", "r14", "r15", "rip", "rflags", "cr2"];

class Panels {
  // `on`: {go(item), follow(place)}
  constructor(run, state, on) {
    Object.assign(this, {run, state, on, item: 0, place: null, all: false});
    this.step = section("This step", "step-panel");
    this.origin = section("Where does this value come from?", "origin-panel");
    this.code = section("Code", "code-panel");
    this.registers = section("Registers, and where each value lives", "registers-panel");
    this.structs = section("Structures in memory", "structs-panel");
    this.memory = section("Written in this step", "memory-panel");
    this.root = el("div", {class: "panels"}, this.step.root, this.origin.root, this.code.root,
      this.registers.root, this.memory.root, this.structs.root);
    this.tables = new Map();
    this.openRegions = new Set();
  }

  show(item) {
    this.item = item;
    this.showStep();
    this.showCode();
    this.showRegisters();
    this.showMemory();
    this.showStructs();
    this.showOrigin();
  }
  follow(place) {
    this.place = place;
    this.showRegisters();
    this.showOrigin();
  }

  #valueButton(place, item, text) {
    const name = this.state.nameOf(place, item);
    return el("button", {
      type: "button", class: "value" + (this.#isPlace(place) ? " followed" : ""),
      title: name + ": where does it come from?", onclick: () => this.on.follow(place),
    }, text);
  }
  #isPlace(p) {
    return this.place !== null && p.cell === this.place.cell && p.address === this.place.address;
  }
  #goButton(item) {
    return el("button", {type: "button", class: "go", onclick: () => this.on.go(item),
      title: "Go to this step"}, "step " + this.run.items[item].step);
  }

  // --- the step -------------------------------------------------------------------------------

  showStep() {
    const run = this.run, i = this.item, it = run.items[i], kind = run.kind(i);
    const lane = run.lanes[it.lane];
    const body = this.step.body;
    body.replaceChildren();
    const turn = run.doc.turns[it.turn];
    body.append(el("p", {class: "what"},
      el("span", {class: "chip lane-" + lane.name}, lane.title), " ",
      el("code", {}, run.labelled(i))));
    const comment = run.isInsn(i) ? run.comment(it.rip) : "";
    if (comment) body.append(el("p", {class: "comment"}, "; " + comment));
    const facts = ["step " + it.step, run.lanes.some((l) => l.vp > 0) ? "VP " + it.vp : null,
      "VTL " + it.vtl + " is active", "RIP 0x" + it.rip,
      turn ? "turn " + it.turn + " of " + turn[0] + (turn[1] ? ": " + turn[1] : "") : null];
    body.append(el("p", {class: "facts"}, facts.filter(Boolean).join(" · ")));
    if (!run.isInsn(i)) body.append(el("p", {class: "meaning"}, sentence(kind.meaning)));
    for (const note of run.notesOf.get(i) ?? []) {
      body.append(el("p", {class: "note " + note.kind},
        el("strong", {}, note.kind === "failure" ? "Not as expected. " : "Order. "), note.text));
    }
    if (kind.alarm) this.#explain(body, i);
  }

  // An alarm that names values: each with where it was written, and the copies beside it.
  #explain(body, i) {
    const run = this.run, state = this.state, vp = run.items[i].vp;
    const values = [...run.items[i].text.matchAll(/(\w+?)_(\w+)=0x([0-9a-f]+)/g)]
      .map(([, where, reg, value]) => (
        {name: where + "." + reg, reg, value,
          place: state.placeOf((vp > 0 ? "vp" + vp + "." : "") + where + "." + reg, i)}))
      .filter((v) => v.place);
    if (values.length === 0) return;
    const list = el("ul", {class: "explained"});
    for (const v of values) {
      const write = state.lastWrite(v.place, i);
      list.append(el("li", {}, el("code", {}, v.name), " is ",
        this.#valueButton(v.place, i, "0x" + v.value),
        write ? el("span", {}, ", written by ", this.#goButton(write.item), " ",
          el("code", {}, run.labelled(write.item))) : ", since the start"));
    }
    const copies = el("ul", {class: "copies"});
    for (const column of state.columns(vp)) {
      const place = column.place(values[0].reg, i);
      if (!place) continue;
      const value = state.valueAt(place, i);
      const like = values.filter((v) => sameValue(v.value, value)).map((v) => v.name);
      copies.append(el("li", {class: like.length ? "" : "other"},
        el("span", {class: "bank"}, column.title), " ", this.#valueButton(place, i, hex(value)),
        like.length ? el("span", {class: "like"}, " like " + like.join(" and ")) : null));
    }
    body.append(el("h3", {}, "Why"), list,
      el("p", {}, "Every copy of ", el("code", {}, values[0].reg.toUpperCase()), " at this moment:"),
      copies);
    const story = run.notes.filter((n) => n.kind === "order");
    if (story.length) {
      body.append(el("p", {}, "What went another way than usual before this:"));
      body.append(el("ul", {class: "story"}, ...story.map((n) => el("li", {},
        this.#goButton(n.item), " ", n.text))));
    }
  }

  // --- where a value comes from ---------------------------------------------------------------

  showOrigin() {
    const body = this.origin.body, run = this.run, state = this.state;
    if (this.place === null) {
      this.originKey = "";
      body.replaceChildren(el("p", {class: "dim"}, "Choose a value: in the registers below, or in a " +
        "structure. Then each step that moved it is listed here, back to where it began."));
      return;
    }
    const at = this.item;
    const last = state.lastWrite(this.place, at);
    const key = JSON.stringify(this.place) + (last ? last.number : "-");
    if (this.originKey === key) return;
    this.originKey = key;
    body.replaceChildren();
    const links = state.origin(this.place, at);
    const list = el("ol", {class: "chain"});
    links.forEach((link, n) => {
      const name = state.nameOf(link.place, link.at);
      const li = el("li", {}, el("p", {}, el("code", {class: "place"}, name), " = ",
        el("code", {class: "digits"}, hex(link.value)),
        el("span", {class: "bank"}, " in: " + state.bankOf(link.place, link.at))));
      if (!link.write) {
        li.append(el("p", {class: "end"}, "so since the start of the run"));
      } else {
        const comment = run.isInsn(link.item) ? run.comment(run.items[link.item].rip) : "";
        li.append(el("p", {}, link.write.changed ? "written by " : "written again, unchanged, by ",
          this.#goButton(link.item), " ",
          el("span", {class: "chip lane-" + run.lanes[run.items[link.item].lane].name},
            run.lanes[run.items[link.item].lane].title), " ",
          el("code", {}, run.labelled(link.item)),
          comment ? el("span", {class: "comment"}, " ; " + comment) : null));
        const others = link.sources.filter((s) => s.item === undefined);
        const told = link.sources.find((s) => s.item !== undefined);
        if (told) {
          li.append(el("p", {class: "end"}, "the value: ", this.#goButton(told.item), " ",
            el("code", {}, run.text(told.item))));
        } else if (others.length === 0) {
          li.append(el("p", {class: "end"}, run.isInsn(link.item)
            ? "a constant, or the result of this instruction"
            : "made by this event"));
        } else if (others.length > 1) {
          li.append(el("p", {class: "dim"}, "made of ", ...others.flatMap((s, k) => [
            k ? ", " : "", this.#valueButton(s, link.item - 1,
              state.nameOf(s, link.item - 1) + " = " +
              hex(state.valueAt(s, link.item - 1)))])));
        }
      }
      if (n === 0) li.className = "now";
      list.append(li);
    });
    body.append(list);
  }
  // The item that wrote what is followed, before the current one.
  lastWrite() {
    if (this.place === null) return -1;
    const write = this.state.lastWrite(this.place, this.item);
    if (write && write.item !== this.item) return write.item;
    const before = write ? this.state.lastWrite(this.place, this.item - 1) : null;
    return before ? before.item : -1;
  }

  // --- code -----------------------------------------------------------------------------------

  showCode() {
    const run = this.run, it = run.items[this.item];
    const body = this.code.body;
    // The code of the VP that this is about: the next instruction it executes tells where it is.
    const rip = parseInt(it.rip, 16);
    let at = run.codeAt.get(it.rip), behind = false;
    if (at === undefined) {
      // After a HLT at the end of the text, RIP is behind the last line.
      at = run.code.findLastIndex((c) => {
        const distance = rip - parseInt(c.address, 16);
        return distance > 0 && distance < 16;
      });
      behind = at >= 0;
      if (at < 0) at = undefined;
    }
    body.replaceChildren();
    const list = el("div", {class: "code", tabindex: "0", role: "group",
      "aria-label": "Code around RIP"});
    if (at === undefined) {
      list.append(codeLine(it.rip, run.isInsn(this.item) ? run.text(this.item) : "", "", true));
      body.append(list, el("p", {class: "dim"}, run.isInsn(this.item)
        ? "There is no source for this address: it is a page of the hypervisor's."
        : "RIP is at 0x" + it.rip + ", of which there is no source."));
      return;
    }
    for (let n = Math.max(0, at - 7); n < Math.min(run.code.length, at + 10); ++n) {
      const line = run.code[n];
      if (line.vtl !== run.code[at].vtl) continue;
      if (line.label) list.append(el("div", {class: "label"}, line.label + ":"));
      const bare = line.text.replace(/^\s*[\w.$]+:/, "").trim();
      const cut = bare.indexOf(";");
      list.append(codeLine(line.address, cut < 0 ? bare : bare.slice(0, cut).trim(),
        cut < 0 ? "" : bare.slice(cut), n === at && !behind));
      if (n === at && behind) list.append(codeLine(it.rip, "", "; RIP is here", true));
    }
    body.append(list);
    if (run.isInsn(this.item)) {
      body.append(el("p", {class: "dim"}, "Executed as ", el("code", {}, run.text(this.item))));
    }
  }

  // --- registers ------------------------------------------------------------------------------

  #registerTable(vp) {
    const key = vp + (this.all ? "+" : "-");
    let table = this.tables.get(key);
    if (table) return table;
    const state = this.state, columns = state.columns(vp);
    const names = this.all ? [...new Set(this.run.cells.map((c) => c.name))] : MAIN_REGISTERS;
    const head = el("tr", {}, el("th", {scope: "col"}, "register"),
      ...columns.map((c) => el("th", {scope: "col", title: c.meaning}, c.title)));
    const body = el("tbody");
    const cells = [];
    for (const reg of names) {
      const row = el("tr", {}, el("th", {scope: "row"}, reg));
      columns.forEach((column, n) => {
        const button = el("button", {type: "button", class: "value"});
        const td = el("td", {}, button);
        const cell = {reg, column, button, td, shown: null, place: null};
        button.addEventListener("click", () => { if (cell.place) this.on.follow(cell.place); });
        cells.push(cell);
        row.append(td);
      });
      body.append(row);
    }
    table = {root: el("table", {class: "registers"}, el("thead", {}, head), body), cells};
    this.tables.set(key, table);
    return table;
  }

  showRegisters() {
    const vp = this.run.items[this.item].vp, body = this.registers.body;
    const table = this.#registerTable(vp);
    if (this.shownTable !== table) {
      const more = el("label", {class: "more"}, el("input", {type: "checkbox",
        onchange: (e) => { this.all = e.target.checked; this.showRegisters(); }}),
      " all registers");
      more.firstChild.checked = this.all;
      body.replaceChildren(el("p", {class: "dim"}, this.run.lanes.some((l) => l.vp > 0)
        ? "Of VP " + vp + ". " : "", "Each column is a place where a register's value can lie. ",
      el("span", {class: "changed"}, "Lit"), ": this step changed it. ",
      el("span", {class: "written"}, "Dotted"), ": written with the value it had."), more,
      el("div", {class: "wide", tabindex: "0", role: "group", "aria-label": "Registers"},
        table.root));
      this.shownTable = table;
    }
    const written = this.state.writesOf(this.item);
    for (const cell of table.cells) {
      const place = cell.column.place(cell.reg, this.item);
      cell.place = place;
      const value = place ? hex(this.state.valueAt(place, this.item)) : "";
      let mark = "";
      if (place) {
        for (const w of written) {
          if (!covers(w, place)) continue;
          mark = w.changed ? "changed" : mark || "written";
        }
        if (this.#isPlace(place)) mark += " followed";
      }
      const shown = value + mark;
      if (shown === cell.shown) continue;
      cell.shown = shown;
      cell.button.hidden = !place;
      cell.button.textContent = value;
      cell.button.setAttribute("aria-label", place
        ? this.state.nameOf(place, this.item) + " " + value +
          (mark.includes("changed") ? ", changed in this step" : "") : "none");
      cell.td.className = mark;
    }
  }

  // --- memory ---------------------------------------------------------------------------------

  showMemory() {
    const state = this.state, body = this.memory.body, i = this.item;
    const writes = state.writesOf(i);
    body.replaceChildren();
    if (writes.length === 0) {
      body.append(el("p", {class: "dim"}, "Nothing that is recorded."));
      return;
    }
    const rows = [];
    for (const w of writes.slice(0, 200)) {
      const place = w.cell !== undefined ? {cell: w.cell} : {address: w.address, size: w.size};
      const wide = w.cell === undefined && w.size > 16;
      const before = wide ? "" : hex(state.valueAt(place, i - 1));
      const now = wide ? w.size + " bytes" + (w.bytes ? "" : ", as they were")
        : hex(state.valueAt(place, i));
      rows.push(el("tr", {class: w.changed ? "changed" : "written"},
        el("th", {scope: "row"}, wide ? el("code", {}, state.nameOf(place, i))
          : this.#valueButton(place, i, state.nameOf(place, i))),
        el("td", {}, before), el("td", {}, w.changed ? now : wide ? now : "the same")));
    }
    body.append(el("table", {class: "plain"}, el("thead", {}, el("tr", {},
      el("th", {scope: "col"}, "place"), el("th", {scope: "col"}, "before"),
      el("th", {scope: "col"}, "now"))), el("tbody", {}, ...rows)));
    if (writes.length > 200) {
      body.append(el("p", {class: "dim"}, writes.length - 200 + " more are not listed."));
    }
  }

  // --- structures -----------------------------------------------------------------------------

  showStructs() {
    const run = this.run, state = this.state, vp = run.items[this.item].vp;
    if (this.structsOf !== vp) {
      this.structsOf = vp;
      this.structs.body.replaceChildren(el("p", {class: "dim"},
        "The bytes that hypervisor, VTL2 kernel, driver and VMM share, field by field."));
      this.structViews = run.regions.filter((r) => r.vp === vp || r.vp === -1).map((region) => {
        const body = el("div"), mark = el("span", {class: "touched"});
        const details = el("details", {ontoggle: (e) => {
          if (e.target.open) this.openRegions.add(region.name);
          else this.openRegions.delete(region.name);
          this.#showRegion(region, body);
        }}, el("summary", {}, region.title + " ",
          el("span", {class: "dim"}, "at 0x" + region.address.toString(16)), mark), body);
        details.open = this.openRegions.has(region.name);
        this.structs.body.append(details);
        return {region, body, mark, details};
      });
    }
    const written = state.writesOf(this.item).filter((w) => w.address !== undefined && w.changed);
    for (const view of this.structViews) {
      const {region} = view;
      const touched = written.some((w) => w.address < region.address + region.size &&
        w.address + w.size > region.address);
      view.mark.textContent = touched ? "changed in this step" : "";
      if (view.details.open) this.#showRegion(region, view.body);
    }
  }

  #showRegion(region, body) {
    const state = this.state, i = this.item;
    // The same writes lie behind, and none is of this step: the same table.
    const key = state.countOf(region, i) + (state.touches(region, i) ? "at" + i : "") +
      (this.place ? JSON.stringify(this.place) : "");
    if (body.dataset.key === key) return;
    body.dataset.key = key;
    const written = state.writesOf(i).filter((w) => w.address !== undefined);
    const rows = [];
    for (const f of state.fieldsOf(region, i)) {
      const touched = written.find((w) => covers(w, f));
      let value;
      if (f.size > 16) {
        const bytes = state.bytesAt(f.address, f.size, i);
        const last = bytes.findLastIndex((b) => b !== "00");
        value = last < 0 ? "zeros" : bytes.slice(0, Math.min(last + 1, 64)).join(" ") +
          (last >= 64 ? " …" : "");
        if (last < 0 && !touched) continue;
      } else {
        value = hex(state.valueAt(f, i));
      }
      rows.push(el("tr", {class: touched ? touched.changed ? "changed" : "written" : ""},
        el("td", {class: "dim"}, "+" + (f.address - region.address).toString(16).padStart(3, "0")),
        el("th", {scope: "row"}, f.name), el("td", {}, f.size > 16 ? value
          : this.#valueButton(f, i, value)), el("td", {class: "dim"}, meaningOf(f, value))));
    }
    body.replaceChildren(el("table", {class: "plain fields"}, el("thead", {}, el("tr", {},
      el("th", {scope: "col"}, "offset"), el("th", {scope: "col"}, "field"),
      el("th", {scope: "col"}, "value"), el("th", {scope: "col"}, "means"))),
    el("tbody", {}, ...rows)));
  }
}

function section(title, id) {
  const body = el("div", {class: "body"});
  return {body, root: el("section", {class: "panel", id, "aria-labelledby": id + "-title"},
    el("h2", {id: id + "-title"}, title), body)};
}
function codeLine(address, text, comment, here) {
  return el("div", {class: "line" + (here ? " here" : ""), "aria-current": here ? "step" : null},
    el("span", {class: "address"}, address), el("span", {class: "text"}, text),
    comment ? el("span", {class: "comment"}, comment) : null);
}
function covers(write, place) {
  if (place.cell !== undefined || write.cell !== undefined) return write.cell === place.cell;
  return write.address < place.address + place.size && place.address < write.address + write.size;
}
function sentence(text) {
  if (!text) return "";
  const name = text.split(" ")[0].includes("_");  // not a word to begin with a capital
  return (name ? text[0] : text[0].toUpperCase()) + text.slice(1) + ".";
}

// Words for fields whose numbers have them.
const WORDS = {
  entry_reason: ["reserved", "VTL call", "interrupt", "intercept"],
  command: ["none", "RUN_VP", "GET_VP_REGISTERS", "SET_VP_REGISTERS", "TRANSLATE_GVA"],
  access: ["read", "write", "execute"],
};
function meaningOf(field, value) {
  const last = field.name.split(".").pop(), n = parseInt(value, 16);
  if (last === "type" && field.size === 4) {
    for (const view of VIEWS) {
      const payload = view.run.payloads.get(n);
      if (payload && n !== 0) return payload.name;
    }
    return n === 0 ? "none" : "";
  }
  if (last === "execution_state") {
    return "cpl " + (n & 3) + (n & 4 ? ", protected" : "") + (n & 16 ? ", long mode" : "") +
      ", VTL " + (n >> 7 & 15) + (n & 64 ? ", interruption pending" : "") +
      (n & 4096 ? ", interrupt shadow" : "");
  }
  if (last === "access_info") {
    return "size " + (n & 7) + (n & 8 ? ", string" : "") + (n & 16 ? ", rep" : "");
  }
  if (last === "length_cr8") return "instruction length " + (n & 15) + ", CR8 " + (n >> 4);
  return WORDS[last]?.[n] ?? "";
}
