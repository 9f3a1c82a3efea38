"""A client of Echolog in Python: publish a command, wait for its outcome, send it again if none comes.

Nothing here knows more than the wire contract: subjects, headers, MessagePack or JSON.
"""

import asyncio
import json
import os
import time
import uuid

import msgpack
import nats


def uuid7() -> str:
    """A time-ordered UUID; Python has none before 3.14."""
    value = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    value[6] = value[6] & 0x0F | 0x70
    value[8] = value[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(value)))


def checked(command_id: str) -> str:
    """Without a good id there is no subject to wait for the outcome on: better to say so at once."""
    value = uuid.UUID(command_id)
    if value.version != 7 or str(value) != command_id:
        raise ValueError(f"{command_id} is no UUIDv7 in lower-case, hyphenated text")
    return command_id


ENCODINGS = {
    "application/msgpack": (msgpack.packb, msgpack.unpackb),
    "application/json": (lambda body: json.dumps(body).encode(), json.loads),
}


class Echolog:
    """Sends commands for any actor of a tenant; takes a service credential."""

    def __init__(self, connection, tenant="main", content_type="application/msgpack"):
        self.connection = connection
        self.tenant = tenant
        self.content_type = content_type
        self.encode, self.decode = ENCODINGS[content_type]
        self.waiting = {}

    @classmethod
    async def connect(cls, url, tenant="main", content_type="application/msgpack"):
        client = cls(await nats.connect(url), tenant, content_type)
        await client.connection.subscribe(f"out.{tenant}.>", cb=client._outcome)
        await client.connection.flush()
        return client

    async def _outcome(self, message):
        waiter = self.waiting.pop(message.subject.rsplit(".", 1)[1], None)
        if waiter and not waiter.done():
            waiter.set_result(self.decode(message.data))

    async def send(self, actor, command, target, body, command_id=None, attempts=5, headers=None):
        """Sends a command until there is an outcome; every attempt has the same id."""
        command_id = checked(command_id or uuid7())
        subject = f"cmd.{self.tenant}.{actor}.{command}.{target}"
        headers = {"Nats-Msg-Id": command_id, "Content-Type": self.content_type, **(headers or {})}
        for _ in range(attempts):
            waiter = self.waiting[command_id] = asyncio.get_running_loop().create_future()
            await self.connection.publish(subject, self.encode(body), headers=headers)
            try:
                return await asyncio.wait_for(waiter, timeout=3)
            except asyncio.TimeoutError:
                continue
        raise TimeoutError(f"no outcome for {command_id}")

    async def ask(self, actor, command, target, body, command_id=None):
        """Sends a command that carries a secret: by request, so that it never rests anywhere."""
        subject = f"req.{self.tenant}.{actor}.{command}.{target}"
        headers = {"Nats-Msg-Id": checked(command_id or uuid7()), "Content-Type": self.content_type}
        answer = await self.connection.request(subject, self.encode(body), timeout=15, headers=headers)
        return self.decode(answer.data)

    async def close(self):
        await self.connection.close()
