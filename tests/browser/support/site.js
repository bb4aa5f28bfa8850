import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { listen } from './http.js'

const packages = join(import.meta.dirname, '../../../node_modules')
const TYPES = { '.js': 'text/javascript', '.css': 'text/css' }

/**
 * A website: what is set with `page` is served, /npm/… comes from installed packages, and every
 * other path gets a plain page with the tag.
 */
export async function startSite() {
  const pages = new Map()
  const listeners = new Map()
  let tag = ''
  const server = await listen(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    if (pathname == '/favicon.ico') return response.writeHead(204).end()
    if (pathname.startsWith('/npm/')) {
      response.setHeader('content-type', TYPES[extname(pathname)] ?? 'application/octet-stream')
      const file = await readFile(join(packages, normalize(pathname.slice(4)))).catch(() => undefined)
      return response.writeHead(file ? 200 : 404).end(file)
    }
    listeners.get(pathname)?.(request)
    const page = pages.get(pathname) ?? {}
    response.writeHead(page.status ?? 200, { 'content-type': 'text/html; charset=utf-8', ...page.headers })
    response.end(page.raw ?? html(page.tag ?? tag, page.body ?? '', page.head ?? ''))
  })
  return {
    ...server,
    page: (path, page) => pages.set(path, page),
    onRequest: (path, listener) => listeners.set(path, listener),
    /** The tag on every page that has none of its own. */
    tag(text) {
      tag = text
    },
  }
}

function html(tag, body, head) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Fixture</title>${head}${tag}</head><body>${body || '<h1>Fixture</h1>'}</body></html>`
}
