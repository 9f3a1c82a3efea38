//! What fuzzing starts from, and what it has found, in `fuzz/corpus`: it all still holds.
//!
//! `ECHOLOG_BLESS=1` writes the files of a new command or event.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use echolog_commands::{COMMANDS, ContentType};
use echolog_events::EVENT_TYPES;
use echolog_tests::decoders::DECODERS;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = root().join(directory);
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn every_decoder_withstands_its_corpus() {
    for (name, decode) in DECODERS {
        let corpus = files(&format!("fuzz/corpus/{name}"));
        assert!(!corpus.is_empty(), "{name} has nothing to start from");
        for file in corpus {
            // Seen only if the next line panics.
            println!("{}", file.display());
            decode(&fs::read(file).expect("readable"));
        }
    }
}

#[test]
fn every_decoder_has_a_target_and_a_corpus() {
    let decoders: BTreeSet<String> = DECODERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for directory in ["fuzz/fuzz_targets", "fuzz/corpus"] {
        let found = files(directory).into_iter().map(|file| {
            file.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned()
        });
        assert_eq!(found.collect::<BTreeSet<_>>(), decoders, "{directory}");
    }
}

#[test]
fn every_command_and_event_is_in_the_corpus() {
    for command in COMMANDS {
        let name = format!("{}.{}", command.domain, command.name);
        let example: Value = serde_json::from_str(command.doc.example).expect("JSON");
        is_there("command_json", &name, command.doc.example.as_bytes());
        is_there("command_msgpack", &name, &ContentType::MessagePack.encode(&example));
    }
    for event in EVENT_TYPES {
        let name = format!("{}.v{}", event.name, event.schema);
        let golden = root().join(format!("events/golden/{name}.msgpack"));
        is_there("event", &name, &fs::read(golden).expect("a golden file"));
    }
}

/// Whether the file of this name has this name in its first line and then this body.
fn is_there(decoder: &str, name: &str, body: &[u8]) {
    let path = root().join("fuzz/corpus").join(decoder).join(name);
    let expected = [name.as_bytes(), b"\n", body].concat();
    if std::env::var_os("ECHOLOG_BLESS").is_some() {
        fs::write(&path, &expected).expect("the file can be written");
    }
    let is = fs::read(&path).is_ok_and(|found| found == expected);
    assert!(is, "{}: write it with ECHOLOG_BLESS=1", path.display());
}
