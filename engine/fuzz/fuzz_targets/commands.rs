//! See `ringkeeper_engine_fuzz::commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringkeeper_engine_fuzz::commands::run(data);
});
