//! Gives bytes to the reader `expand`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::expand(bytes);
});
