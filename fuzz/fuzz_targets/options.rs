//! Gives bytes to the reader `options`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::options(bytes);
});
