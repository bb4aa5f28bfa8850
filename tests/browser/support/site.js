import { listen } from './http.js'

/** A website: what is set with `page` is served, every other path gets a plain page with the tag. */
export async function startSite() {
  const pages = new Map()
  const listeners = new Map()
  let tag = ''
  const server = await listen((request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    if (pathname == '/favicon.ico') return response.writeHead(204).end()
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
