"""An SMTP relay for tests, by Debian's python3-aiosmtpd: says its port, then each mail as Python's own parser reads it.

Usage: relay.py plain|starttls|login [CERTIFICATE KEY]. full@… has no room now, nobody@… never; the one account is
passerelle with the password "open sesame".
"""
import asyncio
import email
import email.policy
import json
import ssl
import sys

try:
    from aiosmtpd.smtp import SMTP, AuthResult
except ImportError:
    print("SKIPPED", flush=True)
    sys.exit(0)


class Relay:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("full@"):
            return "452 4.2.2 Mailbox full"
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        parts = [
            {"type": part.get_content_type(), "method": part.get_param("method"), "text": part.get_content()}
            for part in mail.walk() if not part.is_multipart()
        ]
        said = {
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "secret": session.ssl is not None,
            "headers": [[name, str(value)] for name, value in mail.items()], "parts": parts,
            "defects": [str(defect) for part in mail.walk() for defect in part.defects],
            "raw": envelope.content.decode("latin-1"),
        }
        print(json.dumps(said), flush=True)
        return "250 OK"


def account(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"passerelle", b"open sesame")
    return AuthResult(success=good, handled=False)


async def main(mode, *files):
    options = {"hostname": "relay.test"}
    if mode == "starttls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        options.update(tls_context=context, require_starttls=True)
    if mode == "login":
        options.update(auth_required=True, auth_require_tls=False, authenticator=account)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Relay(), **options), "127.0.0.1", 0)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
