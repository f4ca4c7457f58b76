// pictures.mjs PAGES OUT: the viewer's pictures for README and docs (tools/pictures.sh).
import {join} from "node:path";
import {pathToFileURL} from "node:url";
import {browse, open} from "./browser.mjs";

const [pages, out] = process.argv.slice(2);
const size = {width: 1280, height: 800};
for (const [name, page, colorScheme] of [["timeline", "crash", "light"],
  ["timeline-dark", "crash", "dark"], ["two-runs", "two", "light"]]) {
  await browse({viewport: size, colorScheme}, async (context) => {
    const p = await open(context, pathToFileURL(join(pages, page + ".html")).href);
    await p.evaluate(() => document.activeElement.blur());
    await p.waitForTimeout(200);
    await p.screenshot({path: join(out, name + ".png")});
  });
}
