//! One test for each guard that the rounds of chance would seldom meet.

use echolog::client::Request;
use echolog::clock;
use echolog_commands::Status;
use echolog_events::{Body, Event, MessagesEvent, Recorded, Uuid, partition_of};
use echolog_nats::Names;
use echolog_tests::cluster::{Cluster, Link, Role};
use echolog_tests::{eventually, run};
use futures::future::try_join_all;

use super::load::{accept, ask, direct, group, id_in, register, say, send_once, to_user};
use super::proof;

/// The guard: the fence on every group.
#[test]
fn a_late_append_of_a_former_owner_is_refused() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[bob])] {
            done.push(accept(&client, request).await?);
        }

        // The owner hears the commands and decides them, but nobody hears the owner.
        cluster.workers[0].nats.set(Link::Muted);
        let said = (0..20).map(|number| accept(&client, say(chat, bob, &number.to_string())));
        let said = try_join_all(said);
        let takes_over = async {
            eventually("its events are on their way", || async {
                Ok(cluster.workers[0].nats.holds("PUB evt.main.message."))
            })
            .await?;
            let successor = cluster.add(Role::Handler).await?;
            anyhow::Ok(successor)
        };
        let (said, successor) = tokio::try_join!(said, takes_over)?;
        done.extend(said);
        let partition = partition_of(&chat.to_string());
        assert_eq!(cluster.owner(partition).await?, Some(successor));

        // Now they arrive, before anything else that the former owner has to say.
        cluster.workers[0].nats.set(Link::Open);
        eventually("the former owner is at work again", || async {
            let id = clock::new_id();
            accept(&client, register(id, &format!("u{}", id.simple()))).await?;
            Ok(cluster.owner(partition_of(&id.to_string())).await? == Some(0))
        })
        .await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// The guard: the position inside the group.
#[test]
fn what_was_rejected_is_not_decided_again_by_the_next_owner() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[])] {
            done.push(accept(&client, request).await?);
        }
        let too_early = say(chat, bob, "Am I in?");
        assert_eq!(ask(&client, &too_early).await?.status, Status::Rejected);
        let body = serde_json::json!({ "user_ids": [bob] });
        let adds = Request::new(ada, "messages.add_members", chat, body);
        done.push(accept(&client, adds).await?);

        cluster.workers[0].kill().await?;
        cluster.start_worker(0).await?;
        done.push(accept(&client, say(chat, bob, "Now I am in.")).await?);
        assert_eq!(sent_by(&cluster.events().await?, bob), 1);
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// The guard: a no is in the log before it is told. What it rests on may be another process's.
#[test]
fn what_was_rejected_stays_rejected_when_its_reason_is_gone() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Handler, Role::Projector]).await?;
        eventually("two handlers share the partitions", || async {
            let owners = cluster.owners().await?;
            Ok([0, 1].map(|it| owners.values().filter(|owner| **owner == Some(it)).count())
                == [8, 8])
        })
        .await?;
        let client = cluster.client().await?;
        let owners = cluster.owners().await?;
        let of = |worker| id_in(|partition| owners.get(&partition) == Some(&Some(worker)));
        let [ada, bob, chat] = [of(0), of(0), of(1)];
        let mut done = Vec::new();
        for request in [
            register(ada, "ada"),
            register(bob, "bob"),
            direct(chat, ada, bob),
            to_user(ada, "users.block_user", bob),
        ] {
            done.push(accept(&client, request).await?);
        }
        // Of the block the other handler hears by the log, a moment later.
        let mut heard = 0;
        let mut blocked = say(chat, bob, "Are you there?");
        while ask(&client, &blocked).await?.status == Status::Accepted {
            heard += 1;
            blocked = say(chat, bob, "Are you there?");
        }
        assert_eq!(ask(&client, &blocked).await?.status, Status::Rejected);

        cluster.workers[1].kill().await?;
        done.push(accept(&client, to_user(ada, "users.unblock_user", bob)).await?);
        done.push(accept(&client, say(chat, bob, "Are you there again?")).await?);
        assert_eq!(sent_by(&cluster.events().await?, bob), heard + 1);
        cluster.start_worker(1).await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// The guard: the number of the run. What was taken in together with commands that have to be read
/// again waits for them.
#[test]
fn what_was_under_way_does_not_overtake() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, chat, one, two] = [(); 4].map(|()| clock::new_id());
        let others: Vec<Uuid> = std::iter::repeat_with(clock::new_id).take(255).collect();
        let everybody = std::iter::once(&ada).chain(&others);
        let names = everybody.map(|id| register(*id, &format!("u{}", id.simple())));
        let mut done = try_join_all(names.map(|request| accept(&client, request))).await?;
        done.push(accept(&client, group(chat, ada, &[])).await?);

        let jetstream = echolog_tests::jetstream(&cluster.config).await?;
        let names = cluster.config.names()?;
        let queue = jetstream.get_stream(names.command_stream()).await?;
        // While the handler waits for one append, so much comes that it takes two groups of events.
        let link = &cluster.workers[0].nats;
        link.set(Link::Muted);
        let before = queue.cached_info().state.last_sequence;
        let first = say(chat, ada, "first").json();
        send_once(&cluster, &first).await?;
        eventually("it waits", || async { Ok(link.holds("PUB evt.main.message.")) }).await?;
        let then = [group(one, ada, &others), group(two, ada, &others), say(one, ada, "Hello")]
            .map(Request::json);
        for request in &then {
            send_once(&cluster, request).await?;
        }
        eventually("all that was sent came", || async {
            let mut pending = 0;
            for partition in [one, two].map(|id| partition_of(&id.to_string())) {
                pending += queue.consumer_info(Names::consumer(partition)).await?.num_pending;
            }
            let sent = jetstream.get_stream(names.command_stream()).await?;
            Ok(pending == 0 && sent.cached_info().state.last_sequence >= before + 4)
        })
        .await?;
        // The first group is lost on its way.
        link.trap(Some("PUB evt.main.conversation."));
        link.set(Link::Open);
        let lost = || async { Ok(link.holds("PUB evt.main.conversation.")) };
        eventually("a group is on its way", lost).await?;
        link.trap(None);
        link.sever().await;

        for request in std::iter::once(first).chain(then) {
            done.push(accept(&client, request).await?);
        }
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// How many messages of a user are in the log.
pub(super) fn sent_by(events: &[Recorded], user: Uuid) -> usize {
    let sent = events.iter().filter(|event| {
        matches!(&event.body, Body::Known(Event::Messages(MessagesEvent::MessageSent(sent)))
            if sent.sender_user_id == user)
    });
    sent.count()
}
