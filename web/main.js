// The page: one view for each run, the keys, the address.

const VIEWS = [];
let active = 0;
let comparison = null;
const past = [];  // where jumps came from

const ACTIONS = [
  ["ArrowRight", "→ or j", "next event", () => go(view().item + 1)],
  ["j", null, "", () => go(view().item + 1)],
  ["ArrowLeft", "← or k", "event before", () => go(view().item - 1)],
  ["k", null, "", () => go(view().item - 1)],
  ["ArrowDown", "↓ ↑", "next row, row before", () => row(1)],
  ["ArrowUp", null, "", () => row(-1)],
  ["PageDown", "Page ↓ ↑", "ten rows on, ten rows back", () => row(10)],
  ["PageUp", null, "", () => row(-10)],
  ["Home", "Home, End", "first event, last event", () => go(0)],
  ["End", null, "", () => go(Infinity)],
  ["n", "n, N", "next intercept, intercept before", () => seek(1, "intercept")],
  ["N", null, "", () => seek(-1, "intercept")],
  ["v", "v, V", "next VTL switch, switch before", () => seek(1, "VTL switch")],
  ["V", null, "", () => seek(-1, "VTL switch")],
  ["x", "x, X", "next failure, alarm or changed order; the one before", () => seek(1, "mark")],
  ["X", null, "", () => seek(-1, "mark")],
  ["l", "l", "last write of the value that is followed, before here", () => lastWrite()],
  ["Backspace", "Backspace", "back to where the last jump came from", () => back()],
  ["/", "/", "find text", () => document.getElementById("find").focus()],
  ["g", "g", "go to a step by number", () => document.getElementById("goto").focus()],
  ["i", "i", "show each instruction, or runs of them as one row", () => expand()],
  ["c", "c", "the other run, where there are two", () => activate(1 - active)],
  ["d", "d", "first difference of two runs", () => difference()],
  ["t", "t", "light, dark, or as the system says", () => theme()],
  ["?", "?", "this help", () => help()],
];
const MARKS = {
  "intercept": (run) => (i) => run.isExit(i),
  "VTL switch": (run) => (i) => run.isSwitch(i),
  "mark": (run) => (i) => run.notesOf.has(i) || run.kind(i).alarm,
};

function view() { return VIEWS[active]; }
function say(text) { document.getElementById("live").textContent = text; }

// --- where one is -------------------------------------------------------------------------------

function go(item, options = {}) {
  const v = view(), last = v.run.items.length - 1;
  item = Math.max(0, Math.min(item, last));
  if (options.jump && item !== v.item) past.push([active, v.item]);
  v.item = item;
  v.timeline.show(item, options.centre);
  v.panels.show(item);
  if (comparison) {
    const other = VIEWS[1 - active];
    other.item = comparison.counterpart(v.run, other.run, item);
    other.timeline.show(other.item, options.centre);
  }
  const it = v.run.items[item];
  document.getElementById("goto").value = it.step;
  say("Step " + it.step + ", " + v.run.lanes[it.lane].title + ": " + v.run.labelled(item) +
    changesText(v, item));
  if (!options.quiet) writeAddress();
}
function changesText(v, item) {
  const changed = v.state.writesOf(item).filter((w) => w.changed);
  if (changed.length === 0) return "";
  const some = changed.slice(0, 3).map((w) => {
    const place = placeOf(w);
    const wide = w.size > 16;
    return v.state.nameOf(place, item) + (wide ? "" : " is " + hex(v.state.valueAt(place, item)));
  });
  return ". Now " + some.join(", ") + (changed.length > 3 ? " and more" : "");
}
function row(n) {
  const t = view().timeline;
  go(t.rowItem(t.rowOf[view().item] + n));
}
function seek(direction, what) {
  const v = view(), hit = v.run.find(v.item, direction, MARKS[what](v.run));
  if (hit < 0) say("There is no " + what + (direction > 0 ? " behind" : " before") + " this.");
  else go(hit, {jump: true});
}
function lastWrite() {
  const hit = view().panels.lastWrite();
  if (view().panels.place === null) say("No value is followed: choose one first.");
  else if (hit < 0) say("Nothing before this has written it.");
  else go(hit, {jump: true});
}
function back() {
  const to = past.pop();
  if (!to) { say("There was no jump before."); return; }
  if (to[0] !== active) activate(to[0], true);
  go(to[1]);
}
function find(text, direction = 1) {
  const v = view(), wanted = text.toLowerCase();
  if (!wanted) return;
  const test = (i) => v.run.labelled(i).toLowerCase().includes(wanted);
  let hit = v.run.find(v.item, direction, test);
  if (hit < 0) hit = v.run.find(direction > 0 ? -1 : v.run.items.length, direction, test);
  if (hit < 0) say("Nothing has “" + text + "” in it.");
  else go(hit, {jump: true});
}
function follow(place) {
  view().panels.follow(place);
  const name = view().state.nameOf(place, view().item);
  const links = view().state.origin(place, view().item);
  const write = links[0].write;
  say(name + " is " + hex(links[0].value) + (write
    ? ", written in step " + view().run.items[write.item].step + ". " + links.length +
      " links back to where it began."
    : " since the start."));
  writeAddress();
}
function expand() {
  const on = !view().timeline.expanded;
  for (const v of VIEWS) v.timeline.expand(on);
  document.getElementById("instructions").setAttribute("aria-pressed", on);
  say(on ? "Each instruction has a row." : "Runs of instructions are one row.");
}
function activate(n, quiet) {
  if (!VIEWS[n] || n === active) return;
  active = n;
  VIEWS.forEach((v, i) => {
    v.root.classList.toggle("active", i === active);
    v.panels.root.hidden = i !== active;
    v.chooser?.setAttribute("aria-pressed", i === active);
  });
  if (!quiet) {
    go(view().item);
    view().timeline.box.focus();
  }
}
function difference() {
  if (!comparison) say("There is only one run.");
  else if (comparison.equal) say(comparison.text());
  else {
    go(comparison.first, {jump: true, centre: true});
    say(comparison.text());
  }
}

// --- the address: #step=165.2&run=2&value=context.rax ---------------------------------------------

function writeAddress() {
  const v = view(), it = v.run.items[v.item], place = v.run.placeOf(v.item);
  let hash = "#step=" + it.step + (place ? "." + place : "") + (active ? "&run=2" : "");
  if (v.panels.place) {
    hash += "&value=" + encodeURIComponent(v.state.nameOf(v.panels.place, v.item));
  }
  clearTimeout(writeAddress.timer);
  // Browsers allow only so many changes a second.
  writeAddress.timer = setTimeout(() => {
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }, 120);
}
function readAddress() {
  const q = new URLSearchParams(location.hash.slice(1));
  if (!q.has("step")) return false;
  if (q.get("run") === "2" && VIEWS[1]) activate(1, true);
  const v = view(), [step, place] = q.get("step").split(".").map(Number);
  if (!Number.isFinite(step)) return false;
  const item = v.run.itemOf(step, place || 0);
  const value = q.get("value");
  // A field of a message may not be there yet.
  const last = v.run.items.length - 1;
  if (value) v.panels.place = v.state.placeOf(value, item) ?? v.state.placeOf(value, last);
  go(item, {centre: true, quiet: true});
  return true;
}

// --- light and dark -------------------------------------------------------------------------------

function theme(to) {
  const order = ["", "light", "dark"], root = document.documentElement;
  const next = to ?? order[(order.indexOf(root.dataset.theme ?? "") + 1) % 3];
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
  try { localStorage.setItem("vtlsim-theme", next); } catch { /* a file without storage */ }
  document.getElementById("theme").textContent =
    {"": "Theme: system", light: "Theme: light", dark: "Theme: dark"}[next];
  for (const v of VIEWS) v.timeline.recolour();
}

// --- help -----------------------------------------------------------------------------------------

function help() {
  const dialog = document.getElementById("help");
  const rows = ACTIONS.filter(([, keys]) => keys).map(([, keys, what]) => el("tr", {},
    el("th", {scope: "row"}, el("kbd", {}, keys)), el("td", {}, what)));
  dialog.replaceChildren(
    el("h2", {id: "help-title"}, "How to read and walk this page"),
    el("p", {}, "A virtual machine can have several trust levels, VTLs. Its ordinary system, the " +
      "guest, runs in VTL0; a small kernel in VTL2 hosts it. Some registers belong to one VTL " +
      "alone (private): the hypervisor swaps them at each switch. The others are shared: whoever " +
      "comes next finds them as they were left. When the guest does something that it may not " +
      "(an intercept), the hypervisor writes a message, VTL2 takes over, saves the registers in " +
      "its CPU context, and the VMM decides what happens. All of that is in this picture: time " +
      "goes down, each lane is somebody who acts, an arrow is where control goes."),
    el("p", {}, "Select a row to see the state behind that step. Choose any value to see which " +
      "steps moved it there. The address always points at the step you see: copy it to share."),
    el("h3", {}, "Lanes"),
    el("dl", {}, ...Object.entries(LANES).flatMap(([name, text]) => [el("dt", {}, name),
      el("dd", {}, text)])),
    el("h3", {}, "Keys"), el("table", {class: "keys"}, el("tbody", {}, ...rows)),
    el("form", {method: "dialog"}, el("button", {class: "primary", autofocus: ""}, "Close")));
  dialog.showModal();
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (document.getElementById("help").open) return;
  const at = e.target;
  if (at.matches("input[type=text], input[type=search], input[type=number]")) {
    if (e.key === "Escape") view().timeline.box.focus();
    return;
  }
  if (e.key === "Escape" && view().panels.place) {
    view().panels.follow(null);
    writeAddress();
    return;
  }
  // Scrollable boxes and buttons keep the keys that they need themselves.
  const scrolls = at.closest(".code, .wide");
  if (scrolls && /^(Arrow|Page|Home|End)/.test(e.key)) return;
  const action = ACTIONS.find(([key]) => key === e.key);
  if (!action) return;
  e.preventDefault();
  action[3]();
}

// --- the page ---------------------------------------------------------------------------------------

function verdict(run) {
  const d = run.doc, good = d.status === "pass" || d.status === "xfail";
  return el("span", {class: "verdict " + (good ? "good" : "bad")},
    (d.status === "pass" ? "as expected: " : d.status + ": ") + d.end + " after " + d.steps + " steps");
}
function button(id, text, title, action) {
  return el("button", {type: "button", id, title, onclick: action}, text);
}

function buildHead() {
  const tools = el("div", {class: "tools", role: "toolbar", "aria-label": "Walk"},
    button("back", "◀", "event before (←)", () => go(view().item - 1)),
    button("forward", "▶", "next event (→)", () => go(view().item + 1)),
    el("span", {class: "gap"}),
    button("intercept-back", "◀ intercept", "intercept before (N)", () => seek(-1, "intercept")),
    button("intercept", "intercept ▶", "next intercept (n)", () => seek(1, "intercept")),
    button("switch-back", "◀ VTL switch", "VTL switch before (V)", () => seek(-1, "VTL switch")),
    button("switch", "VTL switch ▶", "next VTL switch (v)", () => seek(1, "VTL switch")),
    button("mark", "mark ▶", "next failure, alarm or changed order (x)", () => seek(1, "mark")),
    button("last-write", "last write", "last write of the followed value (l)", lastWrite),
    el("span", {class: "gap"}),
    el("label", {}, "step ", el("input", {type: "text", id: "goto", inputmode: "numeric", size: "6",
      onchange: (e) => {
        const n = Number(e.target.value);
        if (Number.isFinite(n)) go(view().run.itemOf(n), {jump: true});
        view().timeline.box.focus();
      }})),
    el("label", {}, "find ", el("input", {type: "search", id: "find", size: "14",
      placeholder: "vtl-enter, fxsave…", onkeydown: (e) => {
        if (e.key === "Enter") find(e.target.value, e.shiftKey ? -1 : 1);
      }})),
    el("button", {type: "button", id: "instructions", "aria-pressed": "false", onclick: expand,
      title: "a row for each instruction (i)"}, "instructions"),
    VIEWS.length > 1 ? button("difference", "first difference", "(d)", difference) : null,
    button("theme", "Theme: system", "(t)", () => theme()),
    button("help-button", "Help ?", "(?)", help));
  const titles = el("div", {class: "titles"});
  if (VIEWS.length === 1) {
    titles.append(el("h1", {}, VIEWS[0].run.title), verdict(VIEWS[0].run));
  } else {
    titles.append(el("h1", {}, "Two runs"));
    VIEWS.forEach((v, i) => {
      v.chooser = el("button", {type: "button", class: "chooser", "aria-pressed": i === 0,
        onclick: () => activate(i), title: "Show this run's values (c)"},
      (i ? "right: " : "left: ") + v.run.title);
      titles.append(el("span", {class: "pair"}, v.chooser, verdict(v.run)));
    });
  }
  const why = el("details", {class: "why"}, el("summary", {}, "What this is about"),
    ...VIEWS.flatMap((v, i) => VIEWS.length > 1 && i > 0 && v.run.doc.why === VIEWS[0].run.doc.why
      ? [] : [el("p", {}, v.run.doc.why),
        el("p", {class: "dim"}, "Source: " + v.run.doc.source)]));
  const head = document.getElementById("head");
  head.append(titles, tools, why);
  for (const v of VIEWS) {
    for (const f of v.run.doc.failures) {
      const item = v.run.notes.find((n) => n.kind === "failure" &&
        n.text.startsWith(f.expectation + ":"))?.item ?? v.run.items.length - 1;
      head.append(el("p", {class: "failure", role: "note"},
        el("strong", {}, "Not as expected" + (VIEWS.length > 1 ? " (" + v.run.title + ")" : "") +
          ": "), f.expectation + ". Expected ", el("code", {}, f.expected), ", got ",
        el("code", {}, f.got), ". ", el("button", {type: "button", class: "go", onclick: () => {
          activate(VIEWS.indexOf(v), true);
          go(item, {jump: true, centre: true});
        }}, "step " + f.step)));
    }
  }
  if (comparison) {
    const values = comparison.values();
    head.append(el("div", {class: "difference-text"}, el("p", {}, comparison.text()),
      values.length ? el("table", {class: "plain"}, el("thead", {}, el("tr", {},
        el("th", {scope: "col"}, "place"), el("th", {scope: "col"}, "left"),
        el("th", {scope: "col"}, "right"))), el("tbody", {}, ...values.slice(0, 8).map((row) =>
        el("tr", {}, el("th", {scope: "row"}, row[0]), el("td", {}, row[1]),
          el("td", {}, row[2]))))) : null));
  }
}

// Where a reader begins: at what went wrong, if something did.
function begin() {
  const run = view().run;
  const failure = run.notes.find((n) => n.kind === "failure");
  const item = run.alarms[0] ?? failure?.item ?? 0;
  if (comparison && !comparison.equal) {
    go(comparison.first, {centre: true, quiet: true});
    return;
  }
  const named = /(\w+?)_(\w+)=0x/g;
  const last = [...run.items[item].text.matchAll(named)].pop();
  if (run.kind(item).alarm && last) {
    const vp = run.items[item].vp;
    view().panels.place = view().state.placeOf(
      (vp > 0 ? "vp" + vp + "." : "") + last[1] + "." + last[2], item);
  }
  go(item, {centre: true, quiet: true});
}

function start() {
  const main = document.getElementById("main");
  const lanes = el("div", {class: "views"}), side = el("div", {class: "side"});
  document.querySelectorAll("script.run").forEach((script, i) => {
    const run = new Run(JSON.parse(script.textContent), i);
    script.remove();
    const state = new State(run);
    const v = {run, state, item: 0};
    VIEWS.push(v);
    v.timeline = new Timeline(run, {
      id: i ? "timeline-2" : "timeline",
      label: "Timeline of " + run.title + ". Arrow keys walk; question mark for all keys.",
      select: (item) => {
        activate(i, true);
        go(item);
      },
    });
    v.timeline.box.addEventListener("focus", () => activate(i, true));
    v.panels = new Panels(run, state, {go: (item) => go(item, {jump: true}), follow});
    v.root = el("section", {class: "view" + (i === 0 ? " active" : ""),
      "aria-label": "Run " + (i + 1) + ": " + run.title}, v.timeline.root);
    v.panels.root.hidden = i !== 0;
    lanes.append(v.root);
    side.append(v.panels.root);
  });
  if (VIEWS.length === 2) {
    comparison = new Comparison(VIEWS[0].run, VIEWS[1].run, VIEWS[0].state, VIEWS[1].state);
    for (const v of VIEWS) v.timeline.marked = comparison.first;
    document.body.classList.add("two");
  }
  main.replaceChildren(lanes, side);
  buildHead();
  let kept = "";
  try { kept = localStorage.getItem("vtlsim-theme") ?? ""; } catch { /* as the system says */ }
  theme(kept);
  if (!readAddress()) begin();
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", readAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const v of VIEWS) v.timeline.recolour();
  });
  addEventListener("beforeprint", () => {
    for (const v of VIEWS) if (v.timeline.rows.length <= 1500) v.timeline.draw(true);
  });
  addEventListener("afterprint", () => { for (const v of VIEWS) v.timeline.draw(); });
  view().timeline.box.focus({preventScroll: true});
  document.body.dataset.ready = "yes";
}

start();
