//! Gives bytes to the reader `answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::answer(bytes);
});
