// Draws the countries of the world: writes `../src/world.tsv`, one line for each, its code (ISO 3166-1 alpha-2) and its outline.
//
//     node world.js
//
// Outlines: Natural Earth 1:50m (public domain), from the package world-atlas, in the projection Equal Earth
// (Šavrič, Patterson, Jenny 2018), which keeps areas. Simplified to what a drawing 1,200 pixels wide can show; islands too small
// for it are left out, but every country keeps its largest part. Antarctica has no visitors.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { geoEqualEarth, geoPath } from 'd3-geo';
import countries from 'i18n-iso-countries';
import { feature } from 'topojson-client';
import { presimplify, quantile, simplify } from 'topojson-simplify';

const WIDTH = 1200;
/** Square units below which a part is left out. */
const AREA_MIN = 6;
/** How much of the detail is kept. */
const KEPT = 0.2;

const atlas = createRequire(import.meta.url)('world-atlas/countries-50m.json');
const weighed = presimplify(atlas);
const all = feature(simplify(weighed, quantile(weighed, KEPT)), atlas.objects.countries).features;
const shown = all.filter((country) => country.id !== '010');
const projection = geoEqualEarth().rotate([-11, 0]).fitWidth(WIDTH, { type: 'FeatureCollection', features: shown });
const path = geoPath(projection);

/** Outlines as whole numbers, each point by its distance from the last. */
function outline(geometry) {
  const parts = (geometry.type === 'MultiPolygon' ? geometry.coordinates : [geometry.coordinates])
    .map((coordinates) => ({ type: 'Polygon', coordinates }))
    .map((polygon) => ({ area: path.area(polygon), text: path(polygon) }))
    .filter((part) => part.text)
    .sort((a, b) => b.area - a.area);
  return parts
    .filter((part, n) => n === 0 || part.area >= AREA_MIN)
    .map((part) => part.text.split('Z').filter(Boolean).map(ring).join(''))
    .join('');
}

function ring(text) {
  const points = [...text.matchAll(/(-?[\d.]+),(-?[\d.]+)/g)].map(([, x, y]) => [Math.round(+x), Math.round(+y)]);
  const kept = points.filter(([x, y], n) => n === 0 || x !== points[n - 1][0] || y !== points[n - 1][1]);
  if (kept.length < 3) {
    const [x, y] = kept[0];
    return `M${x} ${y}h2v2h-2z`;
  }
  const steps = kept.slice(1).map(([x, y], n) => `${x - kept[n][0]} ${y - kept[n][1]}`);
  return `M${kept[0].join(' ')}l${steps.join(' ')}z`.replaceAll(' -', '-');
}

const lines = new Map();
for (const { id, geometry, properties } of shown) {
  const code = countries.numericToAlpha2(id ?? '') ?? (properties.name === 'Kosovo' ? 'XK' : undefined);
  if (code) lines.set(code, (lines.get(code) ?? '') + outline(geometry));
  else console.log(`left out: ${properties.name}`);
}
const [[, top], [, bottom]] = path.bounds({ type: 'FeatureCollection', features: shown });
const text = [...lines].sort().map(([code, drawn]) => `${code}\t${drawn}\n`).join('');
writeFileSync(new URL('../src/world.tsv', import.meta.url), text);
console.log(`${lines.size} countries, ${text.length} bytes, ${WIDTH} wide, from ${Math.floor(top)} to ${Math.ceil(bottom)}`);
