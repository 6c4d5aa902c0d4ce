//! Gives bytes to the reader `headers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::headers(bytes);
});
