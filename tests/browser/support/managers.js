// Consent managers that can be had from npm, in the versions of package.json, run as a site would run them.
//
// `steps` are what a visitor does, one after the other, each with the mask that it leads to: everything is accepted
// first, refused last. `partial` is the second step where it has to be done in another way from nothing.

import { join } from 'node:path'
import { build } from 'esbuild'

const npm = (path) => `<script src="/npm/${path}"></script>`

/** The step, taken when the manager has drawn the elements with these ids: it draws them some time after the page is loaded. */
const drawn = (ids, step) => async (page) => {
  await page.waitForFunction((ids) => ids.every((id) => document.getElementById(id)), ids)
  await step(page)
}

async function bundled(contents) {
  const result = await build({ stdin: { contents, resolveDir: join(import.meta.dirname, '..') }, bundle: true, format: 'iife', write: false, logLevel: 'error' })
  return `<script>${result.outputFiles[0].text.replaceAll('</script', '<\\/script')}</script>`
}

export const MANAGERS = {
  'vanilla-cookieconsent': {
    head: () => `${npm('vanilla-cookieconsent/dist/cookieconsent.umd.js')}<script>CookieConsent.run({
      hideFromBots: false,
      categories: { necessary: { enabled: true, readOnly: true }, preferences: {}, analytics: {}, marketing: {} },
      language: { default: 'en', translations: { en: {
        consentModal: { title: 'Cookies', acceptAllBtn: 'Accept', acceptNecessaryBtn: 'Reject', showPreferencesBtn: 'More' },
        preferencesModal: { title: 'Choose', acceptAllBtn: 'Accept', acceptNecessaryBtn: 'Reject', savePreferencesBtn: 'Save', sections: [] } } } } })</script>`,
    steps: [
      [(page) => page.click('button[data-role=all]'), 15],
      [(page) => page.evaluate(() => CookieConsent.acceptCategory(['analytics'])), 5],
      [(page) => page.evaluate(() => CookieConsent.acceptCategory([])), 1],
    ],
  },
  klaro: {
    head: () => `<script>window.klaroConfig = { default: false, acceptAll: true, mustConsent: true, lang: 'en', translations: { zz: {} }, services: [
        { name: 'session', purposes: ['functional'], required: true },
        { name: 'stats', purposes: ['analytics'] }, { name: 'ads', purposes: ['marketing'] }, { name: 'more-ads', purposes: ['marketing'] } ] }</script>
      ${npm('klaro/dist/klaro.js').replace('<script', '<script data-config="klaroConfig"')}`,
    steps: [
      [(page) => page.click('.cm-btn-accept-all'), 13],
      // One refused service refuses its purpose.
      [(page) => page.evaluate(() => { const manager = klaro.getManager(); manager.updateConsent('more-ads', false); manager.saveAndApplyConsents() }), 5],
      [(page) => page.evaluate(() => { const manager = klaro.getManager(); manager.changeAll(false); manager.saveAndApplyConsents() }), 1],
    ],
    partial: [(page) => page.evaluate(() => { const manager = klaro.getManager(); manager.changeAll(true); manager.updateConsent('ads', false); manager.saveAndApplyConsents() }), 5],
  },
  tarteaucitron: {
    head: () => `${npm('tarteaucitronjs/tarteaucitron.js')}<script>
      tarteaucitron.init({ privacyUrl: '', hashtag: '#tarteaucitron', cookieName: 'tarteaucitron', orientation: 'middle', groupServices: false, showAlertSmall: false,
        cookieslist: false, closePopup: false, showIcon: false, adblocker: false, DenyAllCta: true, AcceptAllCta: true, highPrivacy: true, handleBrowserDNTRequest: false, removeCredit: true, moreInfoLink: false, useExternalCss: false, useExternalJs: false, mandatory: true, serviceDefaultState: 'wait' })
      addEventListener('load', () => {
        for (const [key, type] of [['stats', 'analytic'], ['banners', 'ads']]) {
          tarteaucitron.services[key] = { key, type, name: key, needConsent: true, uri: '', cookies: [], js() {}, fallback() {} };
          (tarteaucitron.job = tarteaucitron.job || []).push(key)
        }
      })</script>`,
    steps: [
      [
        // The button works some time after it is shown: clicked until it does.
        (page) =>
          page.waitForFunction(() => {
            document.getElementById('tarteaucitronPersonalize2')?.click()
            return 'stats' in window.tarteaucitron.state
          }, null, { polling: 100 }),
        13,
      ],
      [drawn(['bannersDenied'], (page) => page.evaluate(() => tarteaucitron.userInterface.respond(document.getElementById('bannersDenied'), false))), 5],
      [drawn(['statsAllowed', 'bannersDenied'], (page) => page.evaluate(() => tarteaucitron.userInterface.respondAll(false))), 1],
    ],
    partial: [
      drawn(['statsAllowed', 'bannersDenied'], (page) =>
        page.evaluate(() => {
          tarteaucitron.userInterface.respond(document.getElementById('statsAllowed'), true)
          tarteaucitron.userInterface.respond(document.getElementById('bannersDenied'), false)
        }),
      ),
      5,
    ],
  },
  osano: {
    head: () => `${npm('cookieconsent/build/cookieconsent.min.js')}<script>addEventListener('load', () =>
      cookieconsent.initialise({ type: 'opt-in', revokable: true }, (popup) => (window.popup = popup)))</script>`,
    steps: [
      [(page) => page.click('.cc-allow'), 15],
      [
        async (page) => {
          await page.waitForFunction(() => window.popup)
          await page.evaluate(() => window.popup.setStatus('deny'))
        },
        1,
      ],
    ],
  },
  'iab-tcf': {
    head: () => bundled(`
      import { CmpApi } from '@iabtechlabtcf/cmpapi'
      import { GVL, TCModel, TCString } from '@iabtechlabtcf/core'
      const purposes = Object.fromEntries(Array.from({ length: 11 }, (_, n) => [n + 1, { id: n + 1, name: 'p', description: '', illustrations: [] }]))
      const gvl = new GVL({ gvlSpecificationVersion: 3, vendorListVersion: 1, tcfPolicyVersion: 5, lastUpdated: '2026-01-01T00:00:00Z',
        purposes, specialPurposes: {}, features: {}, specialFeatures: {}, vendors: {}, stacks: {}, dataCategories: {} })
      const api = new CmpApi(300, 1, true)
      const say = (list, visible) => {
        const model = new TCModel(gvl)
        model.cmpId = 300; model.cmpVersion = 1; model.consentScreen = 1; model.consentLanguage = 'EN'
        model.purposeConsents.set(list)
        api.update(TCString.encode(model), visible)
      }
      window.choose = (list) => { localStorage.tcf = JSON.stringify(list); say(list, false) }
      localStorage.tcf ? say(JSON.parse(localStorage.tcf), false) : api.update('', true)`),
    steps: [
      [(page) => page.evaluate(() => window.choose([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])), 15],
      [(page) => page.evaluate(() => window.choose([1, 8])), 5],
      [(page) => page.evaluate(() => window.choose([])), 1],
    ],
  },
  'iab-gpp': {
    head: () => bundled(`
      import { CmpApi } from '@iabgpp/cmpapi'
      const api = new CmpApi(300, 1)
      const say = (out) => {
        api.setApplicableSections([7])
        api.setFieldValue('usnat', 'SaleOptOut', out)
        api.fireSectionChange('usnat')
        api.setSignalStatus('ready')
      }
      window.choose = (out) => { localStorage.gpp = out; say(out) }
      if (localStorage.gpp) say(+localStorage.gpp)`),
    steps: [
      [(page) => page.evaluate(() => window.choose(2)), 15],
      [(page) => page.evaluate(() => window.choose(1)), 7],
    ],
  },
}
