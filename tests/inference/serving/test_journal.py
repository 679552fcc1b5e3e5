"""What the outermost part of the application answers and writes."""

import asyncio

from mattingjax.inference.serving.journal import Journal
from mattingjax.inference.serving.metrics import Metrics

SCOPE = {'type': 'http', 'path': '/matte', 'raw_path': b'/matte', 'query_string': b''}


async def ended(scope, receive, send):
    raise asyncio.CancelledError


def test_requests_that_the_end_of_the_server_cuts_get_an_answer_and_a_line(capsys):
    sent = []

    async def send(message):
        sent.append(message)

    journal = Journal(ended, Metrics({}))
    asyncio.run(journal(SCOPE | {'method': 'POST'}, None, send))
    assert sent[0]['status'] == 503
    assert sent[1]['body'] == b'{"detail":"the server ends"}'
    (line,) = capsys.readouterr().err.splitlines()
    assert ' - POST /matte 503 the server ends ' in line
