// Axeptio. Choices are made per vendor, among keys of its own book-keeping that start with $$.
import { adapter, page } from './adapter'

adapter('axeptio', {
  ids: {
    google_analytics: 4, matomo: 4, piwik: 4, plausible: 4, hotjar: 4, clarity: 4, microsoft_clarity: 4, sotto: 4,
    google_ads: 8, facebook_pixel: 8, linkedin: 8, tiktok: 8, bing: 8,
  },
  read(decide) {
    if (page.sotto._axeptioAsked) return
    page.sotto._axeptioAsked = 1
    ;(page._axcb ||= []).push((sdk: any) =>
      sdk.on('cookies:complete', (choices: Record<string, unknown>) =>
        decide(Object.keys(choices).filter((id) => id[0] != '$').map((id) => [id, choices[id] === true])),
      ),
    )
  },
})
