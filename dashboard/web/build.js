// Bundles the dashboard's script and style sheet, names them by their content, compresses them, and fails when they
// are over budget. Output: dist/ with manifest.json, from which dashboard/build.rs learns the names.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = (path) => new URL(path, import.meta.url);
const BUDGET = { 'app.js': 12 * 1024, 'app.css': 6 * 1024 };

const bundle = async (entry) => {
  const result = await build({
    entryPoints: [here(entry).pathname],
    bundle: true,
    minify: true,
    write: false,
    target: ['es2022', 'chrome109', 'firefox115', 'safari16'],
    format: 'iife',
    legalComments: 'none',
  });
  return Buffer.from(result.outputFiles[0].contents);
};

const files = {
  'app.js': await bundle('./src/main.ts'),
  'app.css': await bundle('./src/main.css'),
  'favicon.svg': readFileSync(here('./src/favicon.svg')),
};

rmSync(here('./dist'), { recursive: true, force: true });
mkdirSync(here('./dist'));
const manifest = {};
const table = [];
for (const [name, content] of Object.entries(files)) {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const hashed = name.replace('.', `-${hash}.`);
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  const gzip = gzipSync(content, { level: 9 });
  writeFileSync(here(`./dist/${hashed}`), content);
  writeFileSync(here(`./dist/${hashed}.br`), brotli);
  writeFileSync(here(`./dist/${hashed}.gz`), gzip);
  manifest[name] = hashed;
  table.push({ file: name, raw: content.length, gzip: gzip.length, brotli: brotli.length, budget: BUDGET[name] ?? '' });
}
writeFileSync(here('./dist/manifest.json'), JSON.stringify(manifest, null, 2));

const row = (cells) => cells.map((c, i) => String(c)[i ? 'padStart' : 'padEnd'](i ? 8 : 12)).join(' ');
console.log(row(['file', 'raw', 'gzip', 'brotli', 'budget']));
for (const t of table) console.log(row([t.file, t.raw, t.gzip, t.brotli, t.budget]));
const over = table.filter((t) => t.budget && t.brotli > t.budget);
if (over.length) {
  console.error(`over budget: ${over.map((t) => t.file).join(', ')}`);
  process.exit(1);
}
