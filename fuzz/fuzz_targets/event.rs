#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| echolog_tests::decoders::event(data));
