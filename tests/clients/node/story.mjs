// Every command of the first cut, from JavaScript, and the errors that a client meets.

import assert from "node:assert/strict";
import { Echolog, uuid7 } from "./echolog_client.mjs";

const client = await Echolog.connect(process.env.NATS_URL, {
  tenant: process.env.ECHOLOG_TENANT,
  contentType: process.env.ECHOLOG_ENCODING,
});

async function accept(actor, command, target, body, options) {
  const outcome = await client.send(actor, command, target, body, options);
  assert.equal(outcome.status, "accepted", `${command}: ${JSON.stringify(outcome)}`);
  return outcome;
}

async function refuse(code, actor, command, target, body) {
  const outcome = await client.send(actor, command, target, body);
  assert.equal(outcome.error?.code, code, `${command}: ${JSON.stringify(outcome)}`);
  return outcome;
}

const [ada, bob, eve] = [uuid7(), uuid7(), uuid7()];
const registered = await client.ask("anon-1", "auth.register_user", ada, {
  username: "ada",
  password: "correct horse battery",
});
assert.equal(registered.status, "accepted", JSON.stringify(registered));
await accept("anon-1", "auth.register_user", bob, { username: "bob", email: "bob@example.org" });
await accept("anon-1", "auth.register_user", eve, { phone_number: "+442071838750" });
await refuse("already_exists", "anon-1", "auth.register_user", uuid7(), { username: "ADA" });
await refuse("invalid", "anon-1", "auth.register_user", uuid7(), { nickname: "x" });
await accept(ada, "users.update_profile", ada, { bio: "Grüße", timezone: "Europe/London" });
await accept(ada, "users.block_user", ada, { user_id: eve, reason: "spam" });
await accept(ada, "users.unblock_user", ada, { user_id: eve });

const direct = uuid7();
const pair = { conversation_type: "direct", member_user_ids: [bob] };
await accept(ada, "messages.create_conversation", direct, pair);
const again = await refuse("already_exists", ada, "messages.create_conversation", uuid7(), pair);
assert.deepEqual(again.data, { conversation_id: direct });

const group = uuid7();
await accept(ada, "messages.create_conversation", group, {
  conversation_type: "group",
  title: "t",
  member_user_ids: [bob],
});
await accept(ada, "messages.update_conversation", group, { title: "renamed" });
await accept(ada, "messages.add_members", group, { user_ids: [eve] });
await accept(ada, "messages.change_role", group, { user_id: bob, role: "moderator" });
await accept(ada, "messages.remove_member", group, { user_id: eve });
await accept(ada, "messages.add_members", group, { user_ids: [eve] });
await accept(eve, "messages.leave_conversation", group, {});
await refuse("forbidden", eve, "messages.send_message", group, { message_id: uuid7(), content: "x" });
await refuse("conflict", ada, "messages.leave_conversation", group, {});

const [first, second, third] = [uuid7(), uuid7(), uuid7()];
const id = uuid7();
const hello = { message_id: first, content: "Hello", mentions: [bob] };
const sent = await accept(ada, "messages.send_message", group, hello, { id });
assert.deepEqual(await accept(ada, "messages.send_message", group, hello, { id }), sent);
await accept(bob, "messages.send_message", group, {
  message_id: second,
  message_type: "location",
  reply_to_message_id: first,
  metadata: { latitude: 51.5, longitude: -0.12 },
});
await accept(ada, "messages.send_message", group, { message_id: third, content: "Bye" });
await refuse("not_found", ada, "messages.edit_message", group, { message_id: uuid7(), content: "x" });
await accept(ada, "messages.edit_message", group, { message_id: first, content: "Hello!" });
await refuse("forbidden", bob, "messages.edit_message", group, { message_id: first, content: "x" });
await accept(bob, "messages.add_reaction", group, { message_id: first, emoji: "👍" });
await accept(bob, "messages.remove_reaction", group, { message_id: first, emoji: "👍" });
await accept(ada, "messages.pin_message", group, { message_id: first });
await accept(ada, "messages.unpin_message", group, { message_id: first });
await accept(bob, "messages.mark_delivered", group, { message_id: third });
await accept(bob, "messages.mark_read", group, { message_id: first });
await accept(ada, "messages.mark_read", group, { message_id: third });
await accept(bob, "messages.delete_message", group, { message_id: second });
await refuse("gone", bob, "messages.delete_message", group, { message_id: second });
await refuse("too_large", ada, "messages.send_message", group, {
  message_id: uuid7(),
  content: "x".repeat(16 * 1024 + 1),
});
const done = await accept(ada, "users.update_profile", ada, { bio: "done" }, {
  headers: { "Echolog-Await": "projected" },
});
assert.equal(done.projected, true);
await client.close();
