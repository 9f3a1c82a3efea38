//! Whatever is in the log, it is an event or says why it is none.

use std::fs;
use std::path::Path;

use echolog_events::{Body, EVENT_TYPES, Event};
use proptest::prelude::*;
use proptest::sample::Index;

/// A stored event of each type, as bytes.
fn stored() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop::sample::select(EVENT_TYPES).prop_map(|event_type| {
        let file = format!("golden/{}.v{}.msgpack", event_type.name, event_type.schema);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        (event_type.name, fs::read(file).expect("a golden file"))
    })
}

fn check(name: &str, schema: u16, bytes: &[u8]) {
    match Event::decode(name, schema, bytes) {
        Body::Known(event) => {
            // What can be read can be written, and read again.
            let event_type = event.event_type();
            let again = Event::decode(event_type.name, event_type.schema, &event.encode());
            assert!(matches!(again, Body::Known(_)), "{event:?}");
        }
        Body::Unreadable(unreadable) => assert!(!unreadable.reason.is_empty(), "{unreadable:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes((name, _) in stored(), schema in 0..4_u16, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(name, schema, &bytes);
    }

    #[test]
    fn broken_bytes(
        (name, mut bytes) in stored(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
    ) {
        for (place, byte) in &damage {
            *place.get_mut(&mut bytes) = *byte;
        }
        check(name, 1, &bytes);
        bytes.truncate(cut.index(bytes.len()));
        check(name, 1, &bytes);
    }
}
