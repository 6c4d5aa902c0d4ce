//! Gives bytes to the reader `definition`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::definition(bytes);
});
