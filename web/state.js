// Where values lie, what they are at a point of the run, and where they come from.
//
// A place is {cell} or {address, size}. Values are hexadecimal texts, most significant digit first.

const ALIAS = [["command.cpu_context.", "context."], ["command.intercept_message.", "message."],
  ["hcl_run.context.", "context."], ["hcl_run.exit_message.", "message."]];

const WORD = 8;

class State {
  constructor(run) {
    this.run = run;
    this.cellWrites = run.cells.map(() => []);
    this.wordWrites = new Map();
    this.ofItem = new Map();
    this.writes = run.doc.writes.map((row) => {
      const memory = typeof row[1] === "string";
      return memory
        ? {item: row[0], address: parseInt(row[1], 16), size: row[2], bytes: row[3],
          changed: row[4] === 1, from: row.slice(5)}
        : {item: row[0], cell: row[1], value: row[2], changed: row[3] === 1, from: row.slice(4)};
    });
    this.writes.forEach((w, i) => {
      w.number = i;
      if (w.cell !== undefined) {
        this.cellWrites[w.cell].push(i);
      } else {
        for (let a = w.address - w.address % WORD; a < w.address + w.size; a += WORD) {
          const list = this.wordWrites.get(a);
          if (list) list.push(i); else this.wordWrites.set(a, [i]);
        }
      }
      const own = this.ofItem.get(w.item);
      if (own) own.push(w); else this.ofItem.set(w.item, [w]);
    });
    this.initial = run.doc.memory.map(([address, bytes]) => (
      {address: parseInt(address, 16), bytes}));
    this.cellOf = new Map(run.cells.map((c, i) => [c.bank + "." + c.name, i]));
  }

  // How many of the writes are of items up to this one.
  #upTo(list, item) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.writes[list[middle]].item <= item) low = middle + 1; else high = middle;
    }
    return low;
  }

  #bytes(address, size, item) {
    const out = new Array(size).fill(null);
    let open = size;
    const seen = [];
    for (let a = address - address % WORD; a < address + size; a += WORD) {
      const list = this.wordWrites.get(a);
      if (!list) continue;
      // The last few of each word are enough: a word is rarely written in parts.
      const end = this.#upTo(list, item);
      for (let k = end - 1; k >= 0; --k) {
        seen.push(list[k]);
        const w = this.writes[list[k]];
        if (w.bytes && w.address <= a && w.address + w.size >= a + WORD) break;
      }
    }
    seen.sort((x, y) => y - x);
    for (const index of seen) {
      const w = this.writes[index];
      if (!w.bytes) continue;
      const from = Math.max(address, w.address);
      const to = Math.min(address + size, w.address + w.size);
      for (let b = from; b < to; ++b) {
        if (out[b - address] !== null) continue;
        out[b - address] = w.bytes.substr(2 * (b - w.address), 2);
        --open;
      }
      if (open === 0) return out;
    }
    for (let i = 0; i < size; ++i) {
      if (out[i] !== null) continue;
      const at = address + i;
      const page = this.initial.find((m) => m.address <= at && at < m.address + m.bytes.length / 2);
      out[i] = page ? page.bytes.substr(2 * (at - page.address), 2) : "00";
    }
    return out;
  }

  // In order of address, as text.
  bytesAt(address, size, item) { return this.#bytes(address, size, item); }

  valueAt(place, item) {
    if (place.cell !== undefined) {
      const list = this.cellWrites[place.cell];
      const n = this.#upTo(list, item);
      return n > 0 ? this.writes[list[n - 1]].value : this.run.cells[place.cell].initial;
    }
    return trimmed(this.#bytes(place.address, place.size, item).reverse().join(""));
  }

  // The last write of any part of the place up to the item, or null.
  lastWrite(place, item) {
    if (place.cell !== undefined) {
      const list = this.cellWrites[place.cell];
      const n = this.#upTo(list, item);
      return n > 0 ? this.writes[list[n - 1]] : null;
    }
    let best = -1;
    for (let a = place.address - place.address % WORD; a < place.address + place.size; a += WORD) {
      const list = this.wordWrites.get(a);
      if (!list) continue;
      for (let k = this.#upTo(list, item) - 1; k >= 0; --k) {
        const w = this.writes[list[k]];
        if (w.address < place.address + place.size && w.address + w.size > place.address) {
          best = Math.max(best, list[k]);
          break;
        }
      }
    }
    return best < 0 ? null : this.writes[best];
  }

  // How many writes up to the item touch a region, and whether one of the item's does.
  countOf(region, item) {
    this.regionWrites ??= new Map();
    let list = this.regionWrites.get(region);
    if (!list) {
      list = this.writes.filter((w) => w.address < region.address + region.size &&
        w.address + w.size > region.address).map((w) => w.number);
      this.regionWrites.set(region, list);
    }
    return this.#upTo(list, item);
  }
  touches(region, item) {
    return this.countOf(region, item) !== this.countOf(region, item - 1);
  }

  writesOf(item) { return this.ofItem.get(item) ?? []; }

  // --- names ----------------------------------------------------------------------------------

  regionAt(address) {
    return this.run.regions.find((r) => r.address <= address && address < r.address + r.size);
  }
  // The fields of a region, a message's payload as its type is then.
  fieldsOf(region, item) {
    const out = [];
    for (const [name, offset, size] of region.fields) {
      const message = region.messages.find((m) => m + 16 === offset);
      if (message === undefined) {
        out.push({name, address: region.address + offset, size});
        continue;
      }
      const type = parseInt(this.valueAt({address: region.address + message, size: 4}, item), 16);
      const payload = this.run.payloads.get(type);
      const prefix = name.slice(0, name.length - "payload".length);
      if (!payload || type === 0) {
        out.push({name, address: region.address + offset, size});
        continue;
      }
      for (const [inner, at, bytes] of payload.fields) {
        out.push({name: prefix + inner, address: region.address + offset + at, size: bytes});
      }
    }
    return out;
  }
  fieldAt(address, item) {
    const region = this.regionAt(address);
    if (!region) return null;
    const field = this.fieldsOf(region, item)
      .find((f) => f.address <= address && address < f.address + f.size);
    return field ? {region, field} : null;
  }
  #alias(region, name) {
    const full = region.name + "." + name;
    const row = ALIAS.find(([from]) => full.startsWith(from));
    const vp = region.vp > 0 ? "vp" + region.vp + "." : "";
    return vp + (row ? row[1] + full.slice(row[0].length) : full);
  }
  // "context.rax", "cpu.rax", "0x9000"
  nameOf(place, item) {
    if (place.cell !== undefined) {
      const cell = this.run.cells[place.cell], bank = this.run.banks[cell.bank];
      return (bank.vp > 0 ? "vp" + bank.vp + "." : "") + bank.name + "." + cell.name;
    }
    const hit = this.fieldAt(place.address, item);
    if (!hit) return "0x" + place.address.toString(16);
    const name = this.#alias(hit.region, hit.field.name);
    const inside = place.address - hit.field.address;
    return inside ? name + "+0x" + inside.toString(16) : name;
  }
  // The place of a name, or null.
  placeOf(name, item) {
    for (let i = 0; i < this.run.cells.length; ++i) {
      if (this.nameOf({cell: i}) === name) return {cell: i};
    }
    for (const region of this.run.regions) {
      for (const f of this.fieldsOf(region, item)) {
        if (this.#alias(region, f.name) === name) return {address: f.address, size: f.size};
      }
    }
    const raw = /^0x([0-9a-f]+)$/.exec(name);
    return raw ? {address: parseInt(raw[1], 16), size: WORD} : null;
  }
  // In words: the bank that the place belongs to.
  bankOf(place, item) {
    if (place.cell !== undefined) return this.run.banks[this.run.cells[place.cell].bank].title;
    const region = this.regionAt(place.address);
    if (!region) return "memory";
    const name = this.nameOf(place, item).replace(/^vp\d+\./, "");
    if (name.startsWith("context.")) return "CPU context in VTL2's memory";
    if (name.startsWith("message.")) return "message as the VMM reads it";
    if (name.startsWith("assist.message.")) return "message as the hypervisor wrote it";
    return region.title;
  }

  // --- where a register has copies ------------------------------------------------------------

  // Columns of the register table for a VP: [{title, short, place(register, item) or null}]
  columns(vp) {
    const out = [];
    this.run.banks.forEach((bank, b) => {
      if (bank.vp !== vp || !this.run.cells.some((c) => c.bank === b)) return;
      out.push({title: bank.title, meaning: bank.meaning, place: (reg) => {
        const cell = this.cellOf.get(b + "." + reg);
        return cell === undefined ? null : {cell};
      }});
    });
    const inFields = (fields, reg, prefix) => {
      const f = fields.find(([name]) => name === prefix + reg);
      return f ?? null;
    };
    for (const region of this.run.regions) {
      if (region.vp !== vp) continue;
      for (const [prefix, title, meaning] of [
        ["cpu_context.", "CPU context", "the VMM's picture of the guest, in VTL2's memory"],
        ["context.", "CPU context", "the VMM's picture of the guest, in VTL2's memory"],
        ["", region.title, "what the hypervisor says of the guest's registers"]]) {
        if (!inFields(region.fields, "rax", prefix)) continue;
        out.push({title, meaning, place: (reg) => {
          const f = inFields(region.fields, reg, prefix);
          return f ? {address: region.address + f[1], size: f[2]} : null;
        }});
        break;
      }
      for (const message of region.messages) {
        const own = region.name === "assist";
        out.push({
          title: own ? "Message (assist page)" : "Message (VMM's)",
          meaning: own ? "the intercept message where the hypervisor wrote it"
            : "the intercept message where the VMM reads it",
          place: (reg, item) => {
            const base = region.address + message;
            const type = parseInt(this.valueAt({address: base, size: 4}, item), 16);
            const f = this.run.payloads.get(type)?.fields.find(([name]) => name === reg);
            return f && type !== 0 ? {address: base + 16 + f[1], size: f[2]} : null;
          }});
      }
    }
    return out;
  }

  // --- where a value comes from ---------------------------------------------------------------

  sourcesOf(write, place) {
    return write.from.map((from) => {
      if (typeof from === "number") return {cell: from};
      if (from[0] === "#") return {item: Number(from.slice(1))};
      const [address, size] = from.split(":");
      let at = parseInt(address, 16), bytes = Number(size);
      // A block copy: the part that became this place.
      if (place.address !== undefined && write.size === bytes && bytes > place.size) {
        at += place.address - write.address;
        bytes = place.size;
      }
      return {address: at, size: bytes};
    });
  }
  // The links from the place at the item back to where its value began. Each link: {place, value,
  // write or null, item, sources}.
  origin(place, item, limit = 40) {
    const links = [];
    let here = place, at = item;
    while (links.length < limit) {
      const write = this.lastWrite(here, at);
      const value = this.valueAt(here, at);
      const sources = write ? this.sourcesOf(write, here) : [];
      links.push({place: here, at, value, write, item: write ? write.item : -1, sources});
      if (!write) break;
      const before = write.item - 1;
      const values = sources.filter((s) => s.item === undefined);
      const same = values.find((s) => sameValue(this.valueAt(s, before), value));
      const next = same ?? values[0];
      if (!next) break;
      here = next;
      at = before;
    }
    return links;
  }
}

function trimmed(digits) { return digits.replace(/^0+(?=.)/, ""); }
function sameValue(a, b) { return trimmed(a) === trimmed(b); }
function hex(digits) { return "0x" + trimmed(digits); }
