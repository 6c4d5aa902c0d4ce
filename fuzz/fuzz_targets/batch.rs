//! Gives bytes to the reader `batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::batch(bytes);
});
