//! Whatever a client sends, it gets a command or a reason.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{COMMANDS, Command, CommandType, ContentType, ErrorCode};

/// A command, and which of its values is to be changed.
fn anywhere() -> impl Strategy<Value = (CommandType, usize)> {
    (prop::sample::select(COMMANDS), 0..32_usize)
}

/// Values that a client might send by mistake or on purpose.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            " ",
            "\0",
            "\u{202e}abc",
            "0192F3C4-AAAA-7BBB-8CCC-000000000002",
            "{0192f3c4-aaaa-7bbb-8ccc-000000000002}",
            "../../etc/passwd",
            "' OR 1=1 --",
            "NaN",
            "9999-99-99T99:99:99Z",
            "javascript:alert(1)",
            "http://",
            "+1",
            "a@b",
            "🏳️‍🌈",
        ])
        .prop_map(Value::from),
        (0..40_000_usize).prop_map(|length| Value::from("x".repeat(length))),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Puts a value in the place of one of those in a tree, counted from its root.
fn replace(tree: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *tree = with.clone();
        *place = usize::MAX;
        return;
    }
    *place = place.saturating_sub(1);
    match tree {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, with)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, place, with)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Both encodings say the same, and every no has a code for bad input and a sentence.
fn check(command_type: CommandType, body: &Value) {
    let [json, msgpack] = [ContentType::Json, ContentType::MessagePack]
        .map(|encoding| Command::decode(command_type, encoding, &encoding.encode(body)));
    match (&json, &msgpack) {
        (Ok(one), Ok(other)) => assert_eq!(one.digest(), other.digest(), "{body}"),
        (Err(one), Err(other)) => {
            for rejection in [one, other] {
                let bad = matches!(rejection.code, ErrorCode::Invalid | ErrorCode::TooLarge);
                assert!(bad && !rejection.message.is_empty(), "{rejection:?}");
                assert!(rejection.message.len() < 1_000, "{rejection:?}");
            }
        }
        (Ok(_), Err(no)) | (Err(no), Ok(_)) => panic!("{no:?} in one encoding only: {body}"),
    }
}

#[test]
fn every_example_is_a_command() {
    for command_type in COMMANDS {
        let body = example(*command_type);
        check(*command_type, &body);
        let encoded = ContentType::Json.encode(&body);
        assert!(Command::decode(*command_type, ContentType::Json, &encoded).is_ok());
        // One field too many is one too many.
        let mut more = body;
        more["surplus"] = json!(1);
        let encoded = ContentType::Json.encode(&more);
        assert!(Command::decode(*command_type, ContentType::Json, &encoded).is_err());
    }
}

fn example(command_type: CommandType) -> Value {
    serde_json::from_str(command_type.doc.example).expect("examples are JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn odd_values_anywhere((command_type, place) in anywhere(), value in odd()) {
        let mut body = example(command_type);
        replace(&mut body, &mut { place }, &value);
        check(command_type, &body);
    }

    #[test]
    fn any_bytes((command_type, _) in anywhere(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for encoding in [ContentType::Json, ContentType::MessagePack] {
            let _ = Command::decode(command_type, encoding, &bytes);
        }
    }

    #[test]
    fn broken_bytes(
        (command_type, _) in anywhere(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for encoding in [ContentType::Json, ContentType::MessagePack] {
            let mut bytes = encoding.encode(&example(command_type));
            for (place, byte) in &damage {
                *place.get_mut(&mut bytes) = *byte;
            }
            let _ = Command::decode(command_type, encoding, &bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = Command::decode(command_type, encoding, &bytes);
        }
    }
}
