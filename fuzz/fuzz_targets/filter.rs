//! Gives bytes to the reader `filter`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::filter(bytes);
});
