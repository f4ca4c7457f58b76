// bench.mjs CRASH.html LONG.html: see bench/viewer.sh.
import {statSync} from "node:fs";
import {pathToFileURL} from "node:url";
import {browse, open} from "./browser.mjs";

const [crash, long] = process.argv.slice(2);

async function opening(file) {
  return browse({}, async (c) => {
    await (await c.newPage()).goto("about:blank");  // the browser itself is warm
    const times = [];
    for (let i = 0; i < 5; ++i) {
      const start = performance.now();
      const page = await open(c, pathToFileURL(file).href);
      times.push(performance.now() - start);
      await page.close();
    }
    return times.sort((a, b) => a - b)[2];
  });
}

// One step a frame, as many as the browser draws.
async function stepping(file, prepare) {
  return browse({}, async (c) => {
    const page = await open(c, pathToFileURL(file).href);
    const result = await page.evaluate(async (what) => {
      const v = view();
      if (what === "instructions") expand();
      go(Math.floor(v.run.items.length / 2), {quiet: true});
      if (what === "followed") {
        v.panels.place = v.state.placeOf("cpu.rbx", v.item);
        for (const d of document.querySelectorAll("details")) d.open = true;
      }
      const frame = () => new Promise(requestAnimationFrame);
      for (let i = 0; i < 10; ++i) { go(v.item + 1); await frame(); }
      const times = [];
      let last = performance.now();
      for (let i = 0; i < 300; ++i) {
        go(v.item + 1);
        await frame();
        const now = performance.now();
        times.push(now - last);
        last = now;
      }
      times.sort((a, b) => a - b);
      const sum = times.reduce((a, b) => a + b);
      return {events: v.run.items.length, fps: 1000 * times.length / sum,
        worst: times.at(-1), p99: times[Math.floor(times.length * .99)]};
    }, prepare);
    return result;
  });
}

const kib = (file) => (statSync(file).size / 1024).toFixed(0) + " KiB";
console.log(`crash: ${kib(crash)}, opens in ${(await opening(crash)).toFixed(0)} ms (median of 5)`);
console.log(`long:  ${kib(long)}, opens in ${(await opening(long)).toFixed(0)} ms`);
for (const what of ["rows joined", "instructions", "followed"]) {
  const r = await stepping(long, what);
  console.log(`${r.events} events, ${what}: ${r.fps.toFixed(0)} steps a second, ` +
    `99 % of frames within ${r.p99.toFixed(0)} ms, the worst ${r.worst.toFixed(0)} ms`);
}
