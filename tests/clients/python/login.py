"""An end user without a backend: registers and logs in as an anonymous client, then connects as herself."""

import asyncio
import hashlib
import hmac
import json
import os

import nats

from echolog_client import uuid7

TENANT = os.environ["ECHOLOG_TENANT"]
URL = os.environ["NATS_URL"]


def headers():
    return {"Nats-Msg-Id": uuid7(), "Content-Type": "application/json"}


async def ask(connection, actor, command, target, body):
    subject = f"req.{TENANT}.{actor}.{command}.{target}"
    answer = await connection.request(subject, json.dumps(body).encode(), headers=headers(), timeout=10)
    outcome = json.loads(answer.data)
    assert outcome["status"] == "accepted", (command, outcome)
    return outcome["data"]


async def main():
    secret = os.urandom(32).hex()
    seed = f"echolog anonymous {TENANT}".encode()
    actor = "anon-" + hmac.new(secret.encode(), seed, hashlib.sha256).hexdigest()[:32]
    inbox = f"_INBOX_{actor}".encode()
    anonymous = await nats.connect(URL, user="anon", password=secret, inbox_prefix=inbox)
    ada, password = uuid7(), "correct horse battery"
    await ask(anonymous, actor, "auth.register_user", ada, {"username": "ada", "password": password})
    session = await ask(anonymous, actor, "auth.log_in", uuid7(), {"identifier": "ada", "password": password})
    await anonymous.close()

    gone = asyncio.Event()

    async def closed():
        gone.set()

    inbox = f"_INBOX_{ada}".encode()
    token = session["session_token"]
    connection = await nats.connect(
        URL, token=token, inbox_prefix=inbox, allow_reconnect=False, closed_cb=closed
    )
    outcomes = await connection.subscribe(f"out.{TENANT}.{ada}.>")
    subject = f"cmd.{TENANT}.{ada}.users.update_profile.{ada}"
    await connection.publish(subject, b'{"bio":"herself"}', headers=headers())
    outcome = json.loads((await outcomes.next_msg(timeout=10)).data)
    assert outcome["status"] == "accepted", outcome

    # She logs out: the server ends the connection, and the token is nothing any more.
    subject = f"cmd.{TENANT}.{ada}.auth.revoke_session.{ada}"
    body = json.dumps({"session_id": session["session_id"]}).encode()
    await connection.publish(subject, body, headers=headers())
    await asyncio.wait_for(gone.wait(), timeout=10)
    try:
        await nats.connect(URL, token=token, inbox_prefix=inbox, allow_reconnect=False)
    except nats.errors.Error:
        return
    raise AssertionError("let in again")


asyncio.run(main())
