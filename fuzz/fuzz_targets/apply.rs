//! Gives bytes to the reader `apply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::apply(bytes);
});
