//! Who talks, where, and what they say: the same in every run.

use echolog_events::{Uuid, partition_of};

use super::random::{Random, Zipf};

/// Texts to choose from.
const TEXTS: usize = 20_000;

/// Words to make texts of.
const WORDS: usize = 20_000;

/// How unevenly messages fall on conversations where they do.
const ZIPF: f64 = 1.1;

/// A conversation and its members, the owner first.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) id: Uuid,
    pub(super) members: Vec<Uuid>,
}

/// Users, conversations and texts.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) users: Vec<Uuid>,
    pub(super) conversations: Vec<Conversation>,
    texts: Vec<String>,
}

/// A message that somebody is going to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'p> {
    pub(super) conversation: Uuid,
    pub(super) sender: Uuid,
    /// The other one, if there are two.
    pub(super) recipient: Option<Uuid>,
    pub(super) text: &'p str,
}

impl Population {
    /// Ids carry times after `born` (milliseconds since 1970), as if made then.
    pub(super) fn new(users: usize, conversations: usize, born: u64) -> Self {
        let random = &mut Random::new(42);
        let users: Vec<Uuid> = (0..users).map(|_| id(born, random)).collect();
        let conversations = (0..conversations).map(|_| conversation(&users, born, random));
        let conversations = conversations.collect();
        let words: Vec<String> = (0..WORDS).map(|_| word(random)).collect();
        let texts = (0..TEXTS).map(|_| text(&words, random)).collect();
        Self { users, conversations, texts }
    }

    /// Something that a member says in this conversation.
    pub(super) fn draft(&self, conversation: usize, random: &mut Random) -> Draft<'_> {
        let Conversation { id, members } = &self.conversations[conversation];
        let sender = *random.choose(members);
        let other = || members.iter().copied().find(|member| *member != sender);
        Draft {
            conversation: *id,
            sender,
            recipient: if members.len() == 2 { other() } else { None },
            text: random.choose(&self.texts).as_str(),
        }
    }
}

/// How messages fall on conversations.
#[derive(Clone, Debug)]
pub(super) enum Spread {
    /// Evenly.
    Uniform(usize),
    /// By Zipf's law.
    Zipf(Zipf),
    /// All on one.
    Hot(usize),
    /// Evenly on some.
    Among(Vec<usize>),
}

impl Spread {
    pub(super) fn uniform(population: &Population) -> Self {
        Self::Uniform(population.conversations.len())
    }

    pub(super) fn zipf(population: &Population) -> Self {
        Self::Zipf(Zipf::new(population.conversations.len(), ZIPF))
    }

    /// All on a conversation of the usual size.
    pub(super) fn hot(population: &Population) -> Self {
        let usual = population.conversations.iter().position(|it| it.members.len() == 10);
        Self::Hot(usual.unwrap_or_default())
    }

    /// Evenly on the conversations of the first so many partitions.
    pub(super) fn within(population: &Population, partitions: u8) -> Self {
        let here = |it: &Conversation| partition_of(&it.id.to_string()).number() < partitions;
        let all = population.conversations.iter().enumerate();
        Self::Among(all.filter(|(_, it)| here(it)).map(|(index, _)| index).collect())
    }

    /// A conversation, by its place in the population.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        match self {
            Self::Uniform(count) => random.below(*count),
            Self::Zipf(zipf) => zipf.pick(random),
            Self::Hot(one) => *one,
            Self::Among(some) => *random.choose(some),
        }
    }
}

/// A UUIDv7.
fn id(millis: u64, random: &mut Random) -> Uuid {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random.next().to_le_bytes());
    bytes[8..].copy_from_slice(&random.next().to_le_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// 2 to 50 members, 10 on average; some users are in many conversations, most in few.
fn conversation(users: &[Uuid], born: u64, random: &mut Random) -> Conversation {
    let size = (2 + random.exponential(8.5)).min(50);
    let mut members: Vec<Uuid> = Vec::with_capacity(size);
    while members.len() < size {
        let user = users[(users.len() as f64 * random.unit().powi(2)) as usize];
        if !members.contains(&user) {
            members.push(user);
        }
    }
    Conversation { id: id(born, random), members }
}

fn word(random: &mut Random) -> String {
    let length = 3 + random.below(6);
    (0..length).map(|_| char::from(*random.choose(b"aeioubdglmnprstk"))).collect()
}

/// About 80 bytes: words as frequent as words are.
fn text(words: &[String], random: &mut Random) -> String {
    let count = (2 + random.exponential(10.5)).min(80);
    let mut text = String::new();
    for n in 0..count {
        if n > 0 {
            text.push(' ');
        }
        let rank = (words.len() as f64).powf(random.unit()) as usize;
        text.push_str(&words[rank.min(words.len() - 1)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_talk_as_they_should() {
        let population = Population::new(10_000, 2_000, 1_700_000_000_000);
        let sizes: Vec<usize> =
            population.conversations.iter().map(|it| it.members.len()).collect();
        assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&2), Some(&50)));
        let members = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
        assert!((9.0..11.0).contains(&members), "{members} members on average");
        let bytes = population.texts.iter().map(String::len).sum::<usize>() as f64 / TEXTS as f64;
        assert!((72.0..88.0).contains(&bytes), "{bytes} bytes on average");
    }
}
