// The trace viewer and the other formats in a real browser. tests/scripts/web.sh runs this:
//   VTLSIM, PICTURES: the program, and a folder for pictures of every view.
import {test, before, after} from "node:test";
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {pathToFileURL} from "node:url";
import {browse, open} from "./browser.mjs";

const vtlsim = process.env.VTLSIM;
const pictures = process.env.PICTURES;
const here = new URL(".", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "vtlsim-web-"));
const module_text = (name) => readFileSync(join(here, "node_modules", name), "utf8");

const CRASH = "scenarios/sidecar/crash-shadow.json";
const RACE = "scenarios/race/golden-g2.json";
const KVM = "scenarios/kvm/wrong-rip.json";
const FIXED = "scenarios/race/golden-g14.json";

function trace(name, ...args) {
  const file = join(dir, name);
  execFileSync(vtlsim, ["trace", ...args, "-o", file]);
  return file;
}
function html(name, ...args) {
  return pathToFileURL(trace(name + ".html", ...args, "--format", "html")).href;
}
// A scenario of the tests' own.
function scenario(name, change) {
  const text = readFileSync(CRASH, "utf8");
  const file = join(dir, name + ".json");
  const doc = JSON.parse(text);
  change(doc);
  delete doc.$schema;
  writeFileSync(file, JSON.stringify(doc));
  return file;
}

let urls;
before(() => {
  mkdirSync(pictures, {recursive: true});
  urls = {
    crash: html("crash", CRASH),
    race: html("race", RACE),
    two: html("two", RACE, FIXED),
    kvm: html("kvm", KVM, "--variant", "kvm=v0"),
    vps: html("vps", "scenarios/race/two-vps.json"),
    failing: html("failing", scenario("failing", (d) => {
      d.name = "failing";
      d.expect = {end: "guest-halted"};
    })),
    hostile: html("hostile", scenario("hostile", (d) => {
      d.name = "hostile";
      d.why = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned=1'>";
      d.source = "<!--<script>window.pwned = 1//";
      d.guest.code.asm[0] += " <script>window.pwned = 1</script>";
      d.guest.code.asm[4] += "   ; <img src=x onerror='window.pwned = 1'>";
    })),
  };
});
after(() => rmSync(dir, {recursive: true, force: true}));

const keys = async (page, ...list) => { for (const k of list) await page.keyboard.press(k); };
const text = (page, selector) => page.locator(selector).innerText();
const current = (page) => page.evaluate(() => view().run.items[view().item].step);
const settled = (page) => page.waitForTimeout(200);  // the address follows a little later

test("opens at the crash and explains it from the file alone", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  assert.equal(await current(page), 233);
  const step = await text(page, "#step-panel");
  assert.match(step, /message\.rax is\s+0xffffffff81234500/);
  assert.match(step, /context\.rax is\s+0x0/);
  // In which bank the right value was.
  assert.match(step, /VTL0's copy \(private, shadow\)\s+0xffffffff81234500 like message\.rax/);
  // Which instruction wrote the stale value, and where it began.
  const chain = await page.locator("#origin-panel li").allInnerTexts();
  assert.match(chain[0], /context\.rax[^]*step 175[^]*mov qword ptr fs:\[0x0\], rax/);
  assert.match(chain[1], /cpu\.rax[^]*step 166[^]*vtl-enter/);
  assert.match(chain.at(-1), /step 159[^]*xor ecx, ecx[^]*constant/);
  assert.deepEqual(page.problems, []);
  await page.screenshot({path: join(pictures, "crash.png")});
}));

test("says which step overtook which in the race", () => browse({}, async (c) => {
  const page = await open(c, urls.race);
  const step = await text(page, "#step-panel");
  assert.match(step, /vmm0's "idle\?" overtakes poller's "scan vp0 vp_state"/);
  assert.match(step, /poller's "scan vp0 vp_state" comes only now.*"claim ASYNC" \(step 276\)/s);
  await page.locator("#step-panel .story .go").last().click();
  assert.equal(await current(page), 338);
  assert.match(await text(page, ".row.selected .flag"), /out of order/);
  await page.screenshot({path: join(pictures, "race.png")});
  assert.deepEqual(page.problems, []);
}));

test("steps forward and back, by row and by event", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  await keys(page, "Home");
  assert.equal(await current(page), 1);
  await keys(page, "ArrowRight", "ArrowRight", "j");
  assert.equal(await current(page), 4);
  await keys(page, "ArrowLeft", "k");
  assert.equal(await current(page), 2);
  await keys(page, "ArrowDown");
  assert.equal(await current(page), 8);
  await keys(page, "ArrowUp");
  assert.equal(await current(page), 1);
  await keys(page, "n");
  assert.match(await text(page, "#step-panel .what"), /exit-io/);
  await keys(page, "v");
  assert.match(await text(page, "#step-panel .what"), /vtl-enter to=2 reason=intercept/);
  await keys(page, "V");
  assert.match(await text(page, "#step-panel .what"), /vtl-return/);
  await keys(page, "End");
  assert.match(await text(page, "#step-panel .what"), /end reason=vmm-panic/);
  await keys(page, "Backspace");
  assert.match(await text(page, "#step-panel .what"), /vtl-enter|vtl-return|exit-io/);
  await page.click("#back");
  await page.click("#forward");
  assert.deepEqual(page.problems, []);
}));

test("follows a value back with the keyboard alone", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  await page.evaluate(() => location.assign("#step=166.3"));
  await page.waitForFunction(() => view().run.items[view().item].step === 166);
  const rax = page.locator("table.registers tbody tr").first().locator("button").first();
  await rax.focus();
  await keys(page, "Enter");
  assert.match(await text(page, "#origin-panel li >> nth=0"), /cpu\.rax = 0xffffffff81234500/);
  await keys(page, "l");
  assert.equal(await current(page), 165);
  assert.match(await text(page, "#code-panel .here"), /0xFFFFFFFF81234500[^]*the guest runs on/);
  await keys(page, "Backspace");
  assert.equal(await current(page), 166);
  assert.match(await page.evaluate(() => document.getElementById("live").textContent), /Step 166/);
}));

test("shows a KVM run: exits, the guest's code, the registers that userspace reads", () =>
  browse({}, async (c) => {
    const page = await open(c, urls.kvm);
    await keys(page, "Home", "n");
    assert.match(await text(page, "#step-panel .what"), /kvm-exit number=1.*io out port=0x80/);
    assert.match(await text(page, "#code-panel"), /access:[^]*out\s+0x80, eax/);
    assert.match(await text(page, "table.registers"), /vCPU, as userspace sees it[^]*rax\s+0x1\s/);
    assert.deepEqual(page.problems, []);
    await page.screenshot({path: join(pictures, "kvm.png")});
  }));

test("a permalink opens at its step and value", () => browse({}, async (c) => {
  let page = await open(c, urls.crash);
  await keys(page, "Home", "n");
  await settled(page);
  const url = page.url();
  assert.match(url, /#step=166\.1/);
  await page.close();
  page = await open(c, url.replace(/&.*/, "") + "&value=message.rax");
  assert.equal(await current(page), 166);
  assert.match(await text(page, "#step-panel .what"), /exit-io/);
  assert.match(await text(page, "#origin-panel li >> nth=0"), /message\./);
}));

test("shows the bank of each value, and lights what changes", () => browse({}, async (c) => {
  const page = await open(c, urls.crash + "#step=166.4");
  assert.match(await text(page, "#step-panel .what"), /vtl-enter/);
  const head = await page.locator("table.registers thead th").allInnerTexts();
  for (const bank of ["live CPU", "VTL0's copy", "VTL2's copy", "CPU context", "Register page"]) {
    assert.ok(head.some((h) => h.includes(bank)), bank);
  }
  const row = page.locator("table.registers tbody tr").first();
  assert.deepEqual((await row.locator("td").allInnerTexts()).slice(0, 3),
    ["0x0", "0xffffffff81234500", "0x0"]);
  assert.match(await row.locator("td").first().getAttribute("class"), /changed/);
  const details = page.locator("#structs-panel details").filter({hasText: "VP assist page"});
  await details.locator("summary").click();
  const fields = await details.innerText();
  assert.match(fields, /entry_reason\s+0x3\s+intercept/);
  assert.match(fields, /message\.type\s+0x80010000\s+io_port_intercept/);
  assert.match(fields, /message\.port\s+0x3fe/);
  await page.screenshot({path: join(pictures, "vtl-enter.png"), fullPage: true});
}));

test("finds text, goes to steps, shows each instruction", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  await keys(page, "Home", "/");
  await page.keyboard.type("fxsave");
  await keys(page, "Enter");
  assert.match(await text(page, "#step-panel .what"), /fxsave/);
  await keys(page, "Escape", "g");
  await page.locator("#goto").fill("106");
  await keys(page, "Enter");
  assert.equal(await current(page), 106);
  const rows = await page.evaluate(() => view().timeline.rows.length);
  await keys(page, "i");
  assert.ok(await page.evaluate(() => view().timeline.rows.length) > rows);
  assert.equal(await current(page), 106);
  await page.screenshot({path: join(pictures, "instructions.png")});
}));

test("two runs stand beside each other, the first difference marked", () => browse({}, async (c) => {
  const page = await open(c, urls.two);
  assert.equal(await page.locator(".view").count(), 2);
  assert.equal(await page.locator(".first-difference").count(), 2);
  assert.match(await text(page, ".difference-text"),
    /First difference: left step 24.*from=avail to=async; right step 24.*to=async-starting/);
  assert.match(await text(page, ".difference-text"), /driver\.vp_state\s+0x2\s+0x5/);
  await keys(page, "End", "d");
  assert.equal(await current(page), 24);
  await keys(page, "c");
  assert.match(await text(page, ".panels:not([hidden]) #step-panel .what"), /async-starting/);
  await settled(page);
  assert.match(page.url(), /run=2/);
  await page.screenshot({path: join(pictures, "two-runs.png")});
  assert.deepEqual(page.problems, []);
}));

test("a variant beside another, and a run beside itself", () => browse({}, async (c) => {
  const table = "scenarios/sidecar/table-policy-by-fix.json";
  const names = JSON.parse(readFileSync(table, "utf8").replace(/^\s*\/\/.*$/gm, "")).variants.switches;
  const variant = (pick) => Object.entries(names).map(([k, v]) => k + "=" + pick(v)).join(",");
  let page = await open(c, html("variants", table, "--variant", variant((v) => v[0]),
    "--variant", variant((v) => v.at(-1))));
  assert.match(await text(page, ".difference-text"), /First difference/);
  await page.close();
  page = await open(c, html("same", CRASH, CRASH));
  assert.match(await text(page, ".difference-text"), /The two runs are the same/);
}));

test("marks and explains the failing expectation", () => browse({}, async (c) => {
  const page = await open(c, urls.failing);
  assert.match(await text(page, ".failure"),
    /Not as expected: end\. Expected guest-halted, got vmm-panic/);
  await page.locator(".failure .go").click();
  assert.match(await text(page, ".row.selected .flag"), /failed/);
  assert.match(await text(page, "#step-panel"), /Not as expected.*expected guest-halted, got vmm-panic/s);
  assert.match(await text(page, ".verdict.bad"), /fail: vmm-panic/);
  await page.screenshot({path: join(pictures, "failing.png")});
}));

test("text of the scenario stays text", () => browse({}, async (c) => {
  const page = await open(c, urls.hostile);
  await keys(page, "Home");
  await page.locator(".why summary").click();
  assert.ok((await text(page, ".why")).includes("</script><script>window.pwned = 1</script>"));
  await page.evaluate(() => go(view().run.find(-1, 1, (i) => view().run.text(i).includes("in al"))));
  assert.match(await text(page, "#step-panel"), /<img src=x/);
  for (let i = 0; i < 20; ++i) await keys(page, "ArrowRight");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(page.problems, []);
}));

test("help, theme and focus need no mouse", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  await keys(page, "?");
  assert.ok(await page.locator("#help").isVisible());
  assert.match(await text(page, "#help"), /next intercept/);
  await page.screenshot({path: join(pictures, "help.png")});
  await keys(page, "Escape");
  assert.ok(!await page.locator("#help").isVisible());
  await keys(page, "t", "t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  // Every button and field of the tools can be reached with Tab.
  await page.evaluate(() => document.querySelector(".skip").focus());
  const reached = new Set();
  for (let i = 0; i < 40; ++i) {
    await keys(page, "Tab");
    reached.add(await page.evaluate(() => document.activeElement.id));
  }
  for (const id of ["back", "forward", "intercept", "switch", "last-write", "goto", "find",
    "instructions", "theme", "help-button", "timeline"]) assert.ok(reached.has(id), id);
}));

const axe = module_text("axe-core/axe.min.js");
async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await axe.run()).violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " " +
      (n.any[0]?.message ?? "")).join("; ")));
  return found;
}
for (const colorScheme of ["light", "dark"]) {
  test("axe finds nothing serious, " + colorScheme, () => browse({colorScheme}, async (c) => {
    for (const [name, url] of Object.entries(urls)) {
      const page = await open(c, url);
      assert.deepEqual(await violations(page), [], name);
      await page.screenshot({path: join(pictures, name + "-" + colorScheme + ".png")});
      if (name !== "crash") {
        await page.close();
        continue;
      }
      for (const summary of await page.locator("details summary").all()) await summary.click();
      await page.locator(".more input").check();
      await keys(page, "Home", "n", "v");
      assert.deepEqual(await violations(page), [], "everything open");
      await keys(page, "?");
      assert.deepEqual(await violations(page), [], "help");
      await keys(page, "Escape");
      await page.setViewportSize({width: 640, height: 900});
      assert.deepEqual(await violations(page), [], "narrow");
      await page.screenshot({path: join(pictures, "narrow-" + colorScheme + ".png")});
      await page.close();
    }
  }));
}

test("prints with every row", () => browse({}, async (c) => {
  const page = await open(c, urls.crash);
  const rows = await page.evaluate(() => view().timeline.rows.length);
  await page.emulateMedia({media: "print"});
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.locator(".row:not([hidden])").count(), rows);
  await page.screenshot({path: join(pictures, "print.png"), fullPage: true});
}));

// --- the other formats ---------------------------------------------------------------------------

const SCENARIOS = [CRASH, RACE, FIXED, "scenarios/race/two-vps.json",
  "scenarios/race/removal.json", "scenarios/sidecar/golden-g18.json"];

test("mermaid's own parser reads the Mermaid output", () => browse({}, async (c) => {
  const page = await c.newPage();
  await page.addScriptTag({path: join(here, "node_modules/mermaid/dist/mermaid.min.js")});
  const all = [...SCENARIOS, join(dir, "hostile.json")];
  for (const s of all) {
    for (const hide of ["insn,store", "fault"]) {
      const file = trace("m.mmd", s, "--format", "mermaid", "--hide", hide);
      const kind = await page.evaluate(async (t) => (await mermaid.parse(t)).diagramType,
        readFileSync(file, "utf8"));
      assert.equal(kind, "sequence", s);
    }
  }
  await assert.rejects(page.evaluate(() => mermaid.parse("sequenceDiagram\n  L0->>: x\n  ]")));
  const file = trace("m.mmd", CRASH, "--format", "mermaid", "--hide",
    "insn,store,vmm-write,driver-write,msr,hypercall,halt,regpage");
  await page.evaluate(() => document.body.replaceChildren(Object.assign(
    document.createElement("div"), {id: "out"})));
  await page.evaluate(async (t) => {
    document.getElementById("out").innerHTML = (await mermaid.render("d", t)).svg;
  }, readFileSync(file, "utf8"));
  await page.screenshot({path: join(pictures, "mermaid.png"), fullPage: true});
}));

// The rules of the trace event format: every event has a phase, a process and a thread; begin and
// end events nest within their thread, and come in order of time.
function check_trace_events(doc) {
  assert.ok(Array.isArray(doc.traceEvents));
  const open_slices = new Map();
  let last = 0, begins = 0;
  for (const e of doc.traceEvents) {
    assert.equal(typeof e.ph, "string");
    assert.ok(Number.isInteger(e.pid));
    if (e.ph === "M") {
      assert.ok(["process_name", "thread_name", "thread_sort_index"].includes(e.name));
      continue;
    }
    assert.ok(Number.isInteger(e.tid) && Number.isFinite(e.ts) && e.ts >= 0);
    assert.ok(e.ts >= last, "in order of time");
    last = e.ts;
    const stack = open_slices.get(e.pid + "/" + e.tid) ?? [];
    open_slices.set(e.pid + "/" + e.tid, stack);
    if (e.ph === "B") {
      assert.ok(e.name.length > 0 && typeof e.cat === "string");
      stack.push(e);
      ++begins;
    } else {
      assert.equal(e.ph, "E");
      assert.ok(stack.length > 0, "an end without a begin");
      assert.ok(stack.pop().ts <= e.ts);
    }
  }
  for (const stack of open_slices.values()) assert.equal(stack.length, 0);
  assert.ok(begins > 0);
}
test("the Perfetto output keeps the rules of trace events", () => {
  for (const s of SCENARIOS) {
    const doc = JSON.parse(readFileSync(trace("p.json", s, "--format", "perfetto"), "utf8"));
    check_trace_events(doc);
  }
  assert.throws(() => check_trace_events({traceEvents: [{ph: "E", pid: 1, tid: 1, ts: 0}]}));
  assert.throws(() => check_trace_events({traceEvents: [
    {ph: "B", pid: 1, tid: 1, ts: 0, name: "a", cat: "b"}]}));
});

test("the SVG is well-formed, and a picture", () => browse({}, async (c) => {
  const page = await c.newPage();
  for (const s of [...SCENARIOS, join(dir, "hostile.json")]) {
    const svg = readFileSync(trace("s.svg", s, "--format", "svg"), "utf8");
    const root = await page.evaluate((t) =>
      new DOMParser().parseFromString(t, "image/svg+xml").documentElement.nodeName, svg);
    assert.equal(root, "svg", s);
  }
  const file = trace("race.svg", RACE, "--format", "svg", "--hide", "insn,store,vmm-write");
  await page.goto(pathToFileURL(file).href);
  await page.screenshot({path: join(pictures, "svg.png")});
}));
