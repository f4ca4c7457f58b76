// What others make of the program's reports: SARIF against its published schema, TAP by npm's parser,
// the workflow for GitHub by a validator of workflows. Run by tests/scripts/reports.sh, which puts the
// packages beside this file.
//   check.mjs sarif FILE RESULTS | tap FILE TESTS FAILURES TODOS | workflow FILE
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const load = createRequire(import.meta.url);
const [what, file, ...wanted] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
let problems = 0;
const problem = (message) => { console.log(`${file}: ${message}`); ++problems; };
const same = (name, got, expected) => {
  if (got !== Number(expected)) problem(`${got} ${name}, not ${expected}`);
};

if (what === 'sarif') {
  const Ajv = load('ajv');
  const package_file = load.resolve('@microsoft/jest-sarif/package.json');
  const schema = join(package_file, '..', 'lib/schemas/sarif-2.1.0-rtm.5.json');
  const ajv = new Ajv({ schemaId: 'auto', meta: false, allErrors: true });
  ajv.addMetaSchema(load('ajv/lib/refs/json-schema-draft-04.json'));
  const valid = ajv.compile(JSON.parse(readFileSync(schema, 'utf8')));
  const report = JSON.parse(text);
  if (!valid(report)) problem(ajv.errorsText(valid.errors));
  same('results', report.runs[0].results.length, wanted[0]);
} else if (what === 'tap') {
  const { Parser } = load('tap-parser');
  const parser = new Parser({ strict: true }, (results) => {
    same('tests', results.count, wanted[0]);
    same('failures', results.fail - results.todo, wanted[1]);
    same('todos', results.todo, wanted[2]);
    for (const f of results.failures) if (f.tapError) problem(f.tapError);
  });
  // Each test that does not pass says why.
  parser.on('assert', (test) => {
    if (!test.ok && !test.diag?.failures?.length) problem(`nothing is said about ${test.name}`);
  });
  parser.on('extra', (line) => problem(`not TAP: ${line}`));
  parser.end(text);
} else {
  const { validateWorkflow } = load('@action-validator/core');
  for (const error of validateWorkflow(text).errors) problem(JSON.stringify(error));
}
process.exitCode = problems === 0 ? 0 : 1;
