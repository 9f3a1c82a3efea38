//! What holds for every command.

use echolog_commands::{COMMANDS, Command, CommandType, ContentType, ErrorCode, Secrecy};
use proptest::prelude::*;
use serde_json::{Value, json};

fn example(command: CommandType) -> Value {
    serde_json::from_str(command.doc.example).expect("the example is JSON")
}

fn decode(command: CommandType, body: &Value) -> Result<Command, echolog_commands::Rejection> {
    Command::decode(command, ContentType::Json, &ContentType::Json.encode(body))
}

#[test]
fn the_reference_names_exactly_the_fields() {
    for command in COMMANDS {
        let example = example(*command);
        let fields = example.as_object().expect("an object");
        let documented: Vec<&str> = command.doc.fields.iter().map(|field| field.name).collect();
        for field in fields.keys() {
            assert!(documented.contains(&field.as_str()), "{}: {field}", command.name);
        }
        for field in command.doc.fields {
            assert!(
                fields.contains_key(field.name),
                "{}: {} in the example",
                command.name,
                field.name
            );
            let mut without = example.clone();
            without.as_object_mut().expect("an object").remove(field.name);
            let read = decode(*command, &without);
            assert_eq!(read.is_err(), field.required, "{}: {}", command.name, field.name);
        }
        decode(*command, &example).expect("the example decodes");
        if let Secrecy::With(fields) = command.secrecy {
            assert!(fields.iter().all(|field| documented.contains(field)));
        }
    }
}

#[test]
fn unknown_fields_are_refused_and_named() {
    for command in COMMANDS {
        let mut body = example(*command);
        body["no_such_field"] = json!(1);
        let rejection = decode(*command, &body).expect_err("an unknown field");
        assert_eq!(rejection.code, ErrorCode::Invalid);
        assert!(rejection.message.contains("no_such_field"), "{rejection:?}");
    }
}

#[test]
fn both_encodings_mean_the_same() {
    for command in COMMANDS {
        let body = example(*command);
        let json = decode(*command, &body).expect("JSON");
        let bytes = ContentType::MessagePack.encode(&body);
        let msgpack =
            Command::decode(*command, ContentType::MessagePack, &bytes).expect("MessagePack");
        assert_eq!(json, msgpack);
        assert_eq!(json.digest(), msgpack.digest());
        let again =
            Command::decode(*command, ContentType::MessagePack, &json.encode()).expect("its own");
        assert_eq!(again.digest(), json.digest());
    }
}

/// Digests are in the log: one that changes makes a retry another command.
#[test]
fn digests_are_for_ever() {
    for (domain, name, body, digest) in [
        ("auth", "register_user", json!({ "username": "ada" }), 0xc5f3_c18c_e0fe_be00),
        (
            "messages",
            "send_message",
            json!({ "message_id": "0192f3c4-aaaa-7bbb-8ccc-000000000010", "content": "Hello" }),
            0xf998_745e_3391_1f64,
        ),
    ] {
        let command = CommandType::find(domain, name).expect("it exists");
        let command = decode(command, &body).expect("a good body");
        assert_eq!(command.digest(), digest, "{domain}.{name}: {:#x}", command.digest());
        assert!(!command.encode().contains(&0xc0), "what was left out is left out");
    }
}

#[test]
fn fields_and_values_go_by_name() {
    for command in COMMANDS {
        let example = example(*command);
        for field in command.doc.fields.iter().filter(|field| example[field.name].is_string()) {
            let mut body = example.clone();
            body[field.name] = json!(0);
            let bytes = ContentType::MessagePack.encode(&body);
            let rejection = Command::decode(*command, ContentType::MessagePack, &bytes)
                .expect_err("a number for a text");
            assert_eq!(rejection.field.as_deref(), Some(field.name), "{}", command.name);
        }
    }
}

#[test]
fn a_secret_is_in_no_encoding_and_no_digest() {
    let register = CommandType::find("auth", "register_user").expect("it exists");
    let with = |password: &str| {
        decode(register, &json!({ "username": "ada", "password": password })).expect("a good body")
    };
    let (one, other) = (with("marked secret one"), with("marked secret two"));
    assert!(one.carries_secret());
    assert_eq!(one.digest(), other.digest());
    for shown in [format!("{one:?}").into_bytes(), one.encode()] {
        assert!(!String::from_utf8_lossy(&shown).contains("marked"));
    }
}

#[test]
fn bodies_of_the_wrong_shape_are_refused() {
    let command = CommandType::find("messages", "mark_read").expect("it exists");
    let refused = |encoding, body: &[u8]| {
        Command::decode(command, encoding, body).expect_err("a bad body").code
    };
    for body in
        ["", "[]", "null", "1", "\"x\"", "{", "{}x", "[\"0192f3c4-aaaa-7bbb-8ccc-000000000010\"]"]
    {
        assert_eq!(refused(ContentType::Json, body.as_bytes()), ErrorCode::Invalid, "{body}");
    }
    for body in [&b""[..], b"\x90", b"\xc0", b"\x80\x80", b"\xc1", b"\x81\xa1"] {
        assert_eq!(refused(ContentType::MessagePack, body), ErrorCode::Invalid, "{body:?}");
    }
    let id = json!({ "message_id": "0192F3C4-AAAA-7BBB-8CCC-000000000010" });
    let rejection = decode(command, &id).expect_err("an upper-case id");
    assert_eq!(rejection.field.as_deref(), Some("message_id"));
    let huge = vec![b' '; echolog_commands::MAX_BODY + 1];
    assert_eq!(refused(ContentType::Json, &huge), ErrorCode::TooLarge);
    let deep = "[".repeat(50_000);
    assert_eq!(
        refused(ContentType::Json, format!("{{\"message_id\":{deep}").as_bytes()),
        ErrorCode::Invalid
    );
    let mut deep = b"\x81\xaamessage_id".to_vec();
    deep.extend(std::iter::repeat_n(0x91, 50_000));
    assert_eq!(refused(ContentType::MessagePack, &deep), ErrorCode::Invalid);
}

fn any_command() -> impl Strategy<Value = CommandType> {
    prop::sample::select(COMMANDS)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("0192f3c4-aaaa-7bbb-8ccc-000000000010")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(command in any_command(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [ContentType::MessagePack, ContentType::Json] {
            let _ = Command::decode(command, encoding, &bytes);
        }
    }

    #[test]
    fn any_value_of_a_field_is_read_or_refused(command in any_command(), index in any::<prop::sample::Index>(), value in any_value()) {
        let mut body = example(command);
        if !command.doc.fields.is_empty() {
            let field = index.get(command.doc.fields);
            body[field.name] = value;
        }
        for encoding in [ContentType::MessagePack, ContentType::Json] {
            if let Err(rejection) = Command::decode(command, encoding, &encoding.encode(&body)) {
                prop_assert!(matches!(rejection.code, ErrorCode::Invalid | ErrorCode::TooLarge));
                prop_assert!(rejection.message.ends_with('.'));
            }
        }
    }
}
