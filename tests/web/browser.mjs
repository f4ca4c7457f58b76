// A headless chromium with nothing but the page under test.
import {chromium} from "playwright-core";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";

export async function browse(options, use) {
  const profile = mkdtempSync(join(tmpdir(), "vtlsim-web-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: {width: 1440, height: 900},
    ...options,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    return await use(context);
  } finally {
    await context.close();
    rmSync(profile, {recursive: true, force: true});
  }
}

// Opens a page of vtlsim's; whatever goes wrong in it is in `problems`.
export async function open(context, url) {
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (e) => page.problems.push("error: " + e.message));
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") page.problems.push(m.text());
  });
  page.on("request", (r) => {
    if (!/^(file|data):/.test(r.url())) page.problems.push("request: " + r.url());
  });
  await page.goto(url);
  await page.waitForSelector("body[data-ready=yes]");
  return page;
}
