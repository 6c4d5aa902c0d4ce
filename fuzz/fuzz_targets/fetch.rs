//! Gives bytes to the reader `fetch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::fetch(bytes);
});
