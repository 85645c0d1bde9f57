"""The back end of an application: the `pusher` package."""

import pusher

from server import APP

MASTER_KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="


def back_end_of(gaung, **options):
    credentials = {"app_id": APP["id"], "key": APP["key"], "secret": APP["secret"], **options}
    return pusher.Pusher(
        **credentials, ssl=False, host=gaung.host, port=gaung.port, encryption_master_key_base64=MASTER_KEY
    )
