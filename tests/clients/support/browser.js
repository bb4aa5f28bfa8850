import { createServer } from 'node:http'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { PERSON } from './sotto.js'

const STATS = 'stats.example'

/** Chromium as a visitor has it, in which every `.example` host is this machine. */
export async function startBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // The clients send nothing, or say so, from a browser under remote control.
      '--disable-blink-features=AutomationControlled',
      '--host-resolver-rules=MAP *.example 127.0.0.1',
    ],
  })
  const pages = new Map()
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    const script = pages.get(pathname)
    const type = pathname.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8'
    response.writeHead(script === undefined && pathname == '/favicon.ico' ? 204 : 200, { 'content-type': type })
    response.end(pathname.endsWith('.js') ? script : html(script ?? ''))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()

  return {
    /** Where pages of a host are. */
    origin: (host) => `http://${host}:${port}`,
    /** Where Sotto is for the pages: another origin. */
    stats: (sotto) => `http://${STATS}:${sotto.port}`,
    serve: (path, text) => pages.set(path, text),
    /** Opens a page of `host` with a script, coming from `referrer`; remembers what was sent to Sotto. */
    async open(url, script, referrer) {
      pages.set(new URL(url).pathname, script)
      const context = await browser.newContext({ userAgent: PERSON, viewport: { width: 1280, height: 720 } })
      const page = await context.newPage()
      const answers = []
      page.on('response', (response) => {
        if (new URL(response.url()).hostname == STATS)
          answers.push(`${response.request().method()} ${new URL(response.url()).pathname} ${response.status()}`)
      })
      await page.goto(url, { referer: referrer })
      return { page, answers, close: () => context.close() }
    },
    async close() {
      await browser.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function html(script) {
  const inert = script.replaceAll('</script', '<\\/script')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head>
<body style="height:5000px"><h1>A page</h1><script>${inert}</script></body></html>`
}

/** A client from npm with the code that uses it, as a site's bundler would make it. */
export async function bundle(code) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: import.meta.dirname },
    bundle: true,
    format: 'iife',
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0].text
}
