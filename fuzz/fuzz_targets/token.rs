//! Gives bytes to the reader `token`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::token(bytes);
});
