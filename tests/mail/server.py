"""A mail server on loopback for the tests: it takes letters and prints each as a line of JSON.

Its first line is the port. Options, as one JSON object: `tls` ("starttls" or "implicit", with `certificate` and `key`),
`user` and `password` (nobody sends without them), and `answers`: what it says to letters, one after the other, the last for
all that follow. "cut" ends the connection where the answer would stand.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

options = json.loads(sys.argv[1])
answers = list(options.get("answers", ["250 taken"]))


def tell(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        refused = options.get("refuse")
        if refused:
            return f"{refused} <{address}>: not here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        tell(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "letter": envelope.content.decode("ascii"),
                "answer": answer,
                "encrypted": session.ssl is not None or options.get("tls") == "implicit",
                "signed_in": bool(session.authenticated),
                "hello": session.host_name,
            }
        )
        if answer == "cut":
            server.transport.abort()
            return "421 gone"
        return answer


def sign_in(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (
        options["user"],
        options["password"],
    )
    return AuthResult(success=known, handled=known)


async def serve():
    context = None
    if options.get("tls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["certificate"], options["key"])
    starttls = context if options.get("tls") == "starttls" else None
    named = "user" in options

    def session():
        return SMTP(
            Handler(),
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=sign_in if named else None,
            auth_required=named,
            auth_require_tls=False,
        )

    implicit = context if options.get("tls") == "implicit" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", options.get("port", 0), ssl=implicit)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(serve())
