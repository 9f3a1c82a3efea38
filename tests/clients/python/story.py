"""Every command of the first cut, from Python, and the errors that a client meets."""

import asyncio
import os

from echolog_client import Echolog, uuid7


async def main():
    client = await Echolog.connect(
        os.environ["NATS_URL"], os.environ["ECHOLOG_TENANT"], os.environ["ECHOLOG_ENCODING"]
    )

    async def accept(actor, command, target, body, **more):
        outcome = await client.send(actor, command, target, body, **more)
        assert outcome["status"] == "accepted", (command, outcome)
        return outcome

    async def refuse(code, actor, command, target, body):
        outcome = await client.send(actor, command, target, body)
        assert outcome["status"] == "rejected" and outcome["error"]["code"] == code, (command, outcome)
        return outcome

    ada, bob, eve = uuid7(), uuid7(), uuid7()
    registered = await client.ask(
        "anon-1", "auth.register_user", ada, {"username": "ada", "password": "correct horse battery"}
    )
    assert registered["status"] == "accepted", registered
    await accept("anon-1", "auth.register_user", bob, {"username": "bob", "email": "bob@example.org"})
    await accept("anon-1", "auth.register_user", eve, {"phone_number": "+442071838750"})
    await refuse("already_exists", "anon-1", "auth.register_user", uuid7(), {"username": "ADA"})
    await refuse("invalid", "anon-1", "auth.register_user", uuid7(), {"nickname": "x"})
    await accept(ada, "users.update_profile", ada, {"bio": "Grüße", "timezone": "Europe/London"})
    await accept(ada, "users.block_user", ada, {"user_id": eve, "reason": "spam"})
    await accept(ada, "users.unblock_user", ada, {"user_id": eve})

    direct = uuid7()
    pair = {"conversation_type": "direct", "member_user_ids": [bob]}
    await accept(ada, "messages.create_conversation", direct, pair)
    second = await refuse("already_exists", ada, "messages.create_conversation", uuid7(), pair)
    assert second["data"] == {"conversation_id": direct}, second

    group = uuid7()
    await accept(ada, "messages.create_conversation", group,
                 {"conversation_type": "group", "title": "t", "member_user_ids": [bob]})
    await accept(ada, "messages.update_conversation", group, {"title": "renamed"})
    await accept(ada, "messages.add_members", group, {"user_ids": [eve]})
    await accept(ada, "messages.change_role", group, {"user_id": bob, "role": "moderator"})
    await accept(ada, "messages.remove_member", group, {"user_id": eve})
    await accept(ada, "messages.add_members", group, {"user_ids": [eve]})
    await accept(eve, "messages.leave_conversation", group, {})
    await refuse("forbidden", eve, "messages.send_message", group, {"message_id": uuid7(), "content": "x"})
    await refuse("conflict", ada, "messages.leave_conversation", group, {})

    first, second, third = uuid7(), uuid7(), uuid7()
    command_id = uuid7()
    body = {"message_id": first, "content": "Hello", "mentions": [bob]}
    sent = await accept(ada, "messages.send_message", group, body, command_id=command_id)
    assert await accept(ada, "messages.send_message", group, body, command_id=command_id) == sent
    await accept(bob, "messages.send_message", group,
                 {"message_id": second, "message_type": "location", "reply_to_message_id": first,
                  "metadata": {"latitude": 51.5, "longitude": -0.12}})
    await accept(ada, "messages.send_message", group, {"message_id": third, "content": "Bye"})
    await refuse("not_found", ada, "messages.edit_message", group, {"message_id": uuid7(), "content": "x"})
    await accept(ada, "messages.edit_message", group, {"message_id": first, "content": "Hello!"})
    await refuse("forbidden", bob, "messages.edit_message", group, {"message_id": first, "content": "x"})
    await accept(bob, "messages.add_reaction", group, {"message_id": first, "emoji": "👍"})
    await accept(bob, "messages.remove_reaction", group, {"message_id": first, "emoji": "👍"})
    await accept(ada, "messages.pin_message", group, {"message_id": first})
    await accept(ada, "messages.unpin_message", group, {"message_id": first})
    await accept(bob, "messages.mark_delivered", group, {"message_id": third})
    await accept(bob, "messages.mark_read", group, {"message_id": first})
    await accept(ada, "messages.mark_read", group, {"message_id": third})
    await accept(bob, "messages.delete_message", group, {"message_id": second})
    await refuse("gone", bob, "messages.delete_message", group, {"message_id": second})
    await refuse("too_large", ada, "messages.send_message", group,
                 {"message_id": uuid7(), "content": "x" * (16 * 1024 + 1)})
    done = await accept(ada, "users.update_profile", ada, {"bio": "done"},
                        headers={"Echolog-Await": "projected"})
    assert done["projected"] is True, done
    await client.close()


asyncio.run(main())
