// What an editor makes of scenario files: the JSON language service of Visual Studio Code, with this
// repository's schema, over the shipped scenarios and over files that are wrong.
// Run by tests/scripts/editor.sh.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import service_module from 'vscode-json-languageservice';

const { getLanguageService, TextDocument } = service_module;
const root = process.argv[2];
const schema = JSON.parse(readFileSync(join(root, 'docs/scenario.schema.json'), 'utf8'));
const service = getLanguageService({
  // Whatever "$schema" says: the schema of this tree.
  schemaRequestService: async () => JSON.stringify(schema),
  workspaceContext: { resolveRelativePath: (path, base) => new URL(path, base).toString() },
});
service.configure({
  allowComments: true,
  schemas: [{ uri: 'schema://scenario', fileMatch: ['*.json'], schema }],
});

let problems = 0;
const problem = (text) => { console.log(`editor: ${text}`); ++problems; };

const open = (text) => {
  const document = TextDocument.create('file:///scenario.json', 'jsonc', 1, text);
  return { document, json: service.parseJSONDocument(document) };
};
const complaints = async (text) => {
  const { document, json } = open(text);
  return service.doValidation(document, json, { comments: 'ignore', schemaValidation: 'error' });
};
// The place of the mark | in a text, and the text without it.
const at = (marked) => {
  const offset = marked.indexOf('|');
  const { document, json } = open(marked.replace('|', ''));
  return { document, json, position: document.positionAt(offset) };
};
const completions = async (marked) => {
  const { document, json, position } = at(marked);
  const list = await service.doComplete(document, position, json);
  return list.items;
};
const hover = async (marked) => {
  const { document, json, position } = at(marked);
  const found = await service.doHover(document, position, json);
  return found ? JSON.stringify(found.contents) : '';
};

// --- good files have no complaint ---
const files = (folder) => readdirSync(join(root, folder), { recursive: true })
  .filter((name) => String(name).endsWith('.json') && !String(name).endsWith('.part.json'))
  .map((name) => join(folder, String(name)));
let good = 0;
let kvm = 0;
for (const file of files('scenarios')) {
  const text = readFileSync(join(root, file), 'utf8');
  if (/^  "kvm": \{/m.test(text)) ++kvm;
  if (!/^  "\$schema": "/m.test(text)) problem(`${file}: no $schema`);
  for (const c of await complaints(text)) {
    problem(`${file}:${c.range.start.line + 1}: ${c.message}`);
  }
  ++good;
}
if (kvm < 60) problem(`only ${kvm} scenarios of KVM were looked at`);
if (good < 20) problem(`only ${good} scenarios were looked at`);

// --- of the broken ones, those that a schema can tell are marked in the line that vtlsim names ---
const bySchema = ['08', '10', '11', '12', '13', '14', '16', '17', '34'];
for (const file of files('tests/broken')) {
  const number = file.match(/broken\/(\d+)/)[1];
  if (!bySchema.includes(number)) continue;
  const found = await complaints(readFileSync(join(root, file), 'utf8'));
  const expected = readFileSync(join(root, file.replace(/\.json$/, '.expected')), 'utf8');
  const lines = [...expected.matchAll(/^[^:]*:(\d+):/gm)].map((m) => Number(m[1]));
  if (!found.some((c) => lines.includes(c.range.start.line + 1))) {
    problem(`${file}: lines ${lines} are wrong, marked are ` +
      (found.map((c) => `${c.range.start.line + 1} (${c.message})`).join(', ') || 'none'));
  }
}

// --- completion and explanation ---
const labels = (items) => items.map((i) => i.label);
const wants = (what, have, ...needed) => {
  for (const n of needed) {
    if (!have.includes(n)) problem(`${what}: no ${n} among ${have.slice(0, 20)}`);
  }
};
const top = await completions('{ "|" }');
wants('keys', labels(top), 'name', 'why', 'guest', 'switches', 'expect', 'variants', 'xfail');
for (const item of top) {
  if (!item.documentation) problem(`completion of ${item.label} explains nothing`);
}
wants('switches', labels(await completions('{ "switches": { "|" } }')), 'gpr_model', 'vmm_fix');
wants('values', labels(await completions('{ "switches": { "gpr_model": | } }')),
  '"shared"', '"shadow"');
wants('events', labels(await completions('{ "expect": { "log": [ { "event": | } ] } }')),
  '"exit-io"', '"vmm-assert"');
wants('registers', labels(await completions('{ "guest": { "registers": { "|" } } }')), 'rax', 'cr3');
// Of KVM: "kvm" decides which kind of scenario it is.
const kvmWith = (part, rest = '') => `{ "kvm": { ${part} }, ${rest} "name": "n" }`;
wants('the other kind', labels(top), 'kvm');
wants('keys of KVM', labels(await completions('{ "kvm": {}, "|" }')), 'evidence', 'teaches', 'variants');
wants('the part', labels(await completions(kvmWith('"|"'))), 'guest', 'guests', 'userspace', 'switches');
wants('versions', labels(await completions(kvmWith('"switches": { "kvm": | }'))), '"v2"', '"slow"');
const rules = (action) => kvmWith(`"userspace": { "rules": [ { "then": [ { ${action} } ] } ] }`);
wants('actions', labels(await completions(rules('"do": |'))), '"reset-bsp"', '"move-vcpu"');
wants('exit reasons', labels(await completions(
  kvmWith('"userspace": { "rules": [ { "when": { "reason": | } } ] }'))), '"io"', '"debug"');
wants('grades', labels(await completions(kvmWith('', '"evidence": |,'))), '"observed"', '"derived"');
const badKvm = {
  'an unknown version': kvmWith('"switches": { "kvm": "v9" }'),
  'a key of the other kind': kvmWith('', '"vps": [],'),
  'a key of another action': rules('"do": "reset-bsp", "vector": 8'),
};
for (const [what, text] of Object.entries(badKvm)) {
  if ((await complaints(text)).length === 0) problem(`no complaint about ${what}`);
}
const explained = {
  '{ "swit|ches": {} }': 'model switches',
  '{ "switches": { "gpr_|model": "shadow" } }': 'shadow',
  '{ "limits": { "st|eps": 10 } }': 'steps',
  '{ "guest": { "ra|m": 65536 } }': 'bytes',
  '{ "kvm": { "switches": { "kv|m": "v2" } } }': '45def77ebf79',
  '{ "kvm": { "userspace": { "max_|exits": 9 } } }': 'KVM',
};
for (const [text, word] of Object.entries(explained)) {
  const got = await hover(text);
  if (!got.includes(word)) problem(`hover over ${text}: no "${word}" in ${got}`);
}

// --- every property is described, with an example ---
let properties = 0;
const walk = (node, path) => {
  if (node === null || typeof node !== 'object') return;
  for (const kind of ['properties', 'patternProperties']) {
    for (const [name, property] of Object.entries(node[kind] ?? {})) {
      ++properties;
      if (!property.description) problem(`${path}/${name} has no description`);
      if (!property.examples?.length) problem(`${path}/${name} has no example`);
    }
  }
  for (const [key, child] of Object.entries(node)) {
    if (key !== 'examples' && key !== 'enum') walk(child, `${path}/${key}`);
  }
};
walk(schema, '');
console.log(`${good} scenarios, ${kvm} of them of KVM, ${properties} properties, ${problems} problems`);
process.exit(problems === 0 ? 0 : 1);
