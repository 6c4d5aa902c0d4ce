//! Gives bytes to the reader `query_set`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::query_set(bytes);
});
