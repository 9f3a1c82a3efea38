//! Groups of which the log has only the beginning.
//!
//! A batch is atomic to whoever appends it. But a nats-server that keeps the log alone writes it
//! message by message, and where that fails half-way, on a full disk or at JetStream's limit, the
//! beginning stays: to be completed at the server's next start, or for ever without the rest, if
//! something else comes behind it first. To readers such a beginning is not there.

use crate::codec::Headers;

use crate::log::{BATCH_COMMIT, BATCH_ID};

/// What a stored message says about the group that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark<'a> {
    pub(crate) group: &'a str,
    /// It is the last one.
    pub(crate) ends: bool,
}

impl<'a> Mark<'a> {
    /// `None`: it was appended by itself.
    pub(crate) fn of(headers: &'a Headers<'_>) -> Option<Self> {
        let group = headers.get(BATCH_ID)?;
        Some(Self { group, ends: headers.get(BATCH_COMMIT).is_some() })
    }
}

/// The beginning of a group whose end has not been read yet.
#[derive(Debug)]
pub(crate) struct Beginning<T> {
    group: String,
    /// The sequence of the first event, if there is one.
    first: Option<u64>,
    events: Vec<T>,
}

impl<T> Default for Beginning<T> {
    fn default() -> Self {
        Self { group: String::new(), first: None, events: Vec::new() }
    }
}

impl<T> Beginning<T> {
    /// Takes in the next event of the log; what is known to be there whole goes to `whole`.
    pub(crate) fn take(&mut self, mark: Option<Mark<'_>>, seq: u64, event: T, whole: &mut Vec<T>) {
        if let Some(first) = self.first
            && mark.is_none_or(|mark| mark.group != self.group)
        {
            tracing::error!(
                first,
                count = self.events.len(),
                "half a group of events is passed over"
            );
            self.clear();
        }
        let Some(Mark { group, ends }) = mark else {
            whole.push(event);
            return;
        };
        if self.first.is_none() {
            self.first = Some(seq);
            group.clone_into(&mut self.group);
        }
        self.events.push(event);
        if ends {
            self.first = None;
            whole.append(&mut self.events);
        }
    }

    /// The sequence of its first event.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// Forgets what was read: it is going to be read again.
    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of messages, each with its group and whether it ends it.
    fn read(messages: &[Option<(&str, bool)>]) -> Vec<u64> {
        let (mut beginning, mut whole) = (Beginning::default(), Vec::new());
        for (message, seq) in messages.iter().zip(1..) {
            let mark = message.map(|(group, ends)| Mark { group, ends });
            beginning.take(mark, seq, seq, &mut whole);
        }
        whole
    }

    #[test]
    fn a_group_is_read_whole_or_not_at_all() {
        let (a, a_ends) = (Some(("a", false)), Some(("a", true)));
        let (b, b_ends) = (Some(("b", false)), Some(("b", true)));
        assert_eq!(read(&[None, a, a, a_ends, None]), [1, 2, 3, 4, 5]);
        assert_eq!(read(&[None, a, a]), [1], "it may yet be completed");
        assert_eq!(read(&[a, a, None]), [3]);
        assert_eq!(read(&[a, a, b, b_ends]), [3, 4]);
        assert_eq!(read(&[a, b, None]), [3]);
        assert_eq!(read(&[a_ends, b_ends]), [1, 2], "read from within a group on");
    }
}
