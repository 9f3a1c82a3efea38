#![allow(missing_docs, clippy::all, clippy::disallowed_methods)]
use echolog_events::*;
use echolog_projectors::db::*;
use echolog_projectors::*;
use std::time::{Duration, Instant};
fn meta(seq: u64, actor: Uuid, n: usize, target: &str) -> Meta {
    let command = Uuid::from_u128(0xc000_0000_0000_0000 + seq as u128);
    Meta {
        event_id: event_id(&actor.to_string(), target, command, n),
        time: DateTime::from_timestamp_micros(1_767_225_600_000_000 + seq as i64 * 1000).unwrap(),
        actor: Some(actor.to_string()),
        command_id: Some(command),
        session_id: None,
        correlation_id: None,
        traceparent: None,
        digest: Some(seq),
        position: (seq % 100 == 0).then_some(CommandPosition { sequence: seq, nanoseconds: 1 }),
    }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let batch: usize = std::env::args().nth(1).map_or(2000, |a| a.parse().unwrap());
    let convs: u128 = std::env::args().nth(2).map_or(1000, |a| a.parse().unwrap());
    let total: u64 = std::env::args().nth(3).map_or(100_000, |a| a.parse().unwrap());
    let names = std::env::args().nth(4).unwrap_or("messages,audit,ledger,deciders".into());
    let db = Database::connect(&DatabaseOptions {
        url: std::env::var("RATE_URL").unwrap(),
        max_connections: 2,
        connect_timeout: Duration::from_secs(5),
    })
    .await
    .unwrap();
    db.migrate().await.unwrap();
    let mut events = vec![];
    let mut seq = 0;
    let mut push = |events: &mut Vec<Recorded>, actor: Uuid, e: MessagesEvent| {
        seq += 1;
        let key = e.stream();
        events.push(Recorded {
            seq,
            partition: partition_of(&key.id),
            meta: meta(seq, actor, 0, &key.id),
            key,
            body: Body::Known(Event::Messages(e)),
        });
    };
    let conv =
        |n: u128| Uuid::from_u128(0x1000_0000_0000_0000_0000_0000 + n * 0x9E37_79B9_7F4A_7C15);
    let user = |c: u128, m: u128| {
        Uuid::from_u128(0x2000_0000_0000_0000_0000_0000 + (c * 7 + m) * 0x9E37_79B9_7F4A_7C15)
    };
    for c in 0..convs {
        push(
            &mut events,
            user(c, 0),
            MessagesEvent::ConversationCreated(ConversationCreated {
                conversation_id: conv(c),
                conversation_type: ConversationType::Group,
                creator_user_id: user(c, 0),
                title: Some("t".into()),
                description: None,
                avatar_url: None,
                is_public: false,
                is_encrypted: false,
                direct_key: None,
            }),
        );
        for m in 0..5 {
            push(
                &mut events,
                user(c, m),
                MessagesEvent::ParticipantJoined(ParticipantJoined {
                    conversation_id: conv(c),
                    user_id: user(c, m),
                    role: Role::Member,
                    invited_by_user_id: None,
                }),
            );
        }
    }
    let start = events.len();
    let mut r: u64 = 88172645463325252;
    for n in 0..total {
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        let c = (r as u128) % convs;
        let m = (r as u128 >> 32) % 5;
        let ms = 1_767_225_600_000u64 + n / 2;
        let id = uuid::Builder::from_unix_timestamp_millis(
            ms,
            &r.to_be_bytes().repeat(2)[..10].try_into().unwrap(),
        )
        .into_uuid();
        push(&mut events, user(c, m), MessagesEvent::MessageSent(MessageSent { conversation_id: conv(c), message_id: id, sender_user_id: user(c, m), recipient_user_id: None, message_type: MessageType::Text, content: "a message of ordinary length, about eighty characters, as people write them daily".into(), content_encrypted: false, metadata: Default::default(), reply_to_message_id: None, thread_root_message_id: None, forward_from_message_id: None, forward_from_conversation_id: None, mentions: vec![] }));
    }
    let parts: Vec<_> = Partition::all().collect();
    for name in names.split(',') {
        let mut runner = Runner::start(&db, Target::live(Projection::find(name).unwrap()), &parts)
            .await
            .unwrap()
            .unwrap();
        for b in events[..start].chunks(2000) {
            runner.apply(b, b.last().unwrap().seq).await.unwrap();
        }
        let t = Instant::now();
        for b in events[start..].chunks(batch) {
            runner.apply(b, b.last().unwrap().seq).await.unwrap();
        }
        let s = t.elapsed().as_secs_f64();
        println!(
            "{name}: {total} in batches of {batch} over {convs} conversations: {:.2} s, {:.0}/s, {:.1} us each",
            s,
            total as f64 / s,
            s * 1e6 / total as f64
        );
    }
}
