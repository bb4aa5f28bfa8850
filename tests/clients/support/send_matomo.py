"""Sends with the Matomo client of Python: a page, an event, a search and a goal; prints what was answered."""

import sys

import matomo
from matomo.request import Request

url, site, token, page, user_agent = sys.argv[1:6]
visitor = Request(
    {
        "HTTP_REFERER": "https://news.example/story",
        "HTTP_USER_AGENT": user_agent,
        "HTTP_ACCEPT_LANGUAGE": "de-DE,de;q=0.9",
        "HTTP_HOST": "shop.example",
        "REMOTE_ADDR": "198.51.100.7",
        "REQUEST_URI": "/",
    }
)
tracker = matomo.Matomo(visitor, site, url)
tracker.set_url(page)
if token:
    tracker.set_token_auth(token)


def say(answer):
    print(answer if isinstance(answer, str) else getattr(answer, "status_code", answer))


say(tracker.do_track_page_view("Pricing"))
say(tracker.do_track_event("Video", "Play", "Intro", 3))
say(tracker.do_track_site_search("lamp", "light", 12))
say(tracker.do_track_goal(4, 19.5))
tracker.disable_send_image_response()
say(tracker.do_track_action("https://files.example/a.pdf", "download"))
