import base from './vite.config.ts';
import { neededBy } from './needs.ts';
import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
const plugins = (base as any).plugins.flat().filter((p: any) => !/compression|prerender|script-budget|small-theme/.test(String(p?.name)));
export default { ...(base as any), plugins: [...plugins, { name: 'sizes', generateBundle(_: any, bundle: any) {
  const page = process.env.PAGE ?? '/caption/CaptionPage.tsx';
  const need = neededBy(page, bundle); let total = 0; const rows: any[] = [];
  for (const c of need) { const g = gzipSync(c.code).length; total += g;
    const raw = Object.values(c.modules).reduce((s: number, m: any) => s + m.renderedLength, 0);
    for (const [id, m] of Object.entries(c.modules) as any) rows.push({ id, len: m.renderedLength, gz: m.renderedLength / raw * g, chunk: c.fileName }); }
  rows.sort((a, b) => b.gz - a.gz);
  writeFileSync('/tmp/bulk-sizes.json', JSON.stringify({ total, rows }));
  const groups: Record<string, number> = {};
  for (const r of rows) { const m = /node_modules\/((?:@[^/]+\/)?[^/]+)(?:\/(?:esm\/)?([^/]+))?/.exec(r.id); const k = m ? m[1] : 'app'; groups[k] = (groups[k] ?? 0) + r.gz; }
  console.log('TOTAL', total); console.log(Object.entries(groups).sort((a, b) => b[1] - a[1]).map(([k, v]) => `${k} ${Math.round(v)}`).join('\n'));
} }], build: { ...(base as any).build, outDir: '/tmp/bulk-web', emptyOutDir: true } };
